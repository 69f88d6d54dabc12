import json
from dataclasses import replace

import pytest

from mialib.book import ledger, runs
from mialib.book.claims import BEYOND, ON_OTHER_DATA, ON_PAPERS_DATA, Claim, Judge
from mialib.book.ledger import read_claims
from mialib.book.runs import Origin, Recording, Run
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate

ENTRY = """
- id: one
  chapter: toy
  where: Fig. 1
  statement: It leaks.
  paper: "0.7"
  quantities: [precision]
  judge: {at_least: 0.6}
  why: A reason.
  data: [set]
"""


def of(kind, name="set"):
    return Provenance(name, kind, "here", "none", "0" * 64)


def origin(kind="real"):
    return Origin("toy", "own", 0, (of(kind),))


def run(numbers, kind="real"):
    return Run(origin(kind), numbers)


AT_LEAST = Judge("at_least", (0.6,))


def claim(judge=AT_LEAST, quantities=("precision",), data=("set",), where="Fig. 1", untestable=""):
    return Claim("one", "toy", where, "It leaks.", quantities, judge, "A reason.", "0.7", data, untestable)


@pytest.mark.parametrize(
    ("judge", "values", "slack"),
    [
        (AT_LEAST, [0.7], 0.1),
        (AT_LEAST, [0.5], -0.1),
        (Judge("at_most", (0.6,)), [0.5], 0.1),
        (Judge("within", (0.6, 0.1)), [0.65], 0.05),
        (Judge("within", (0.6, 0.1)), [0.45], -0.05),
        (Judge("ordering", (0.05,)), [0.9, 0.8, 0.6], 0.05),
        (Judge("ordering", (0.05,)), [0.9, 0.8, 0.78], -0.03),
    ],
)
def test_judges(judge, values, slack):
    assert min(judge.slacks(values)) == pytest.approx(slack)
    numbers = {str(i): Estimate(value, value - 0.001, value + 0.001) for i, value in enumerate(values)}
    verdict = claim(judge, tuple(numbers)).verdict(run(numbers))
    assert verdict.outcome == ("reproduced" if slack > 0 else "not reproduced")


@pytest.mark.parametrize(
    ("kind", "bounds", "words"),
    [
        ("at_least", (0.6,), "at least 0.6"),
        ("at_most", (0.01,), "at most 0.01"),
        ("within", (156, 78), "156 ± 78"),
        ("ordering", (0.05,), "each above the next by 0.05"),
    ],
)
def test_a_judge_says_what_it_asks_for(kind, bounds, words):
    assert str(Judge(kind, bounds)) == words


@pytest.mark.parametrize(
    ("judge", "ends", "outcome"),
    [
        (AT_LEAST, [(0.61, 0.65)], "reproduced"),
        (AT_LEAST, [(0.55, 0.65)], "undecided"),
        (AT_LEAST, [(0.55, 0.59)], "not reproduced"),
        (Judge("at_most", (0.6,)), [(0.55, 0.65)], "undecided"),
        (Judge("within", (0.6, 0.1)), [(0.51, 0.69)], "reproduced"),
        (Judge("within", (0.6, 0.1)), [(0.65, 0.75)], "undecided"),
        (Judge("within", (0.6, 0.1)), [(0.45, 0.75)], "undecided"),
        (Judge("within", (0.6, 0.1)), [(0.71, 0.75)], "not reproduced"),
        (Judge("ordering", (0.0,)), [(0.7, 0.8), (0.6, 0.69)], "reproduced"),
        (Judge("ordering", (0.0,)), [(0.7, 0.8), (0.6, 0.71)], "undecided"),
        (Judge("ordering", (0.0,)), [(0.6, 0.69), (0.7, 0.8)], "not reproduced"),
    ],
)
def test_of_one_seed_the_whole_intervals_of_its_numbers_decide(judge, ends, outcome):
    numbers = {str(i): Estimate(sum(pair) / 2, *pair) for i, pair in enumerate(ends)}
    assert claim(judge, tuple(numbers)).verdict(run(numbers)).outcome == outcome


@pytest.mark.parametrize("value", [0.1, 0.7, Estimate(0.7)])
def test_one_number_without_an_interval_decides_nothing(value):
    assert str(claim().verdict(run({"precision": value}))) == "undecided (one seed, no interval)"


@pytest.mark.parametrize("value", [0.7, 0.1])
def test_a_stand_in_never_confirms(value):
    verdict = claim().verdict(run({"precision": value}, "stand-in"))
    assert verdict.outcome == "not testable here"
    assert str(verdict) == f"not testable here ({'holds' if value > 0.6 else 'fails'} on the stand-in)"


def test_what_a_verdict_is_about_comes_from_the_data_that_its_numbers_were_computed_on():
    numbers = {"precision": Estimate(0.7, 0.65, 0.75)}
    mixed = Run(replace(origin(), sets=(of("real", "a"), of("sample", "b"), of("stand-in", "c"))), numbers)
    scopes = {name: claim(data=(name,)).verdict(mixed).scope for name in "ab"}
    assert scopes == {"a": ON_PAPERS_DATA, "b": ON_OTHER_DATA}
    assert claim(data=("a", "b")).verdict(mixed).scope == ON_OTHER_DATA
    assert {name: claim(data=(name,)).verdict(mixed).outcome for name in "abc"} == {
        "a": "reproduced",
        "b": "reproduced",
        "c": "not testable here",
    }
    assert claim(data=()).verdict(mixed).outcome == "not testable here"  # the stand-in is among them
    assert claim(data=("d",)).verdict(mixed).outcome == "not testable here"
    for where in ("talk", "extension"):
        assert claim(data=("a",), where=where).verdict(mixed).scope == BEYOND


def test_an_untestable_claim_says_why():
    verdict = claim(untestable="the platform is closed").verdict(run({"precision": Estimate(0.7, 0.65, 0.75)}))
    assert str(verdict) == "not testable here (the platform is closed)"
    assert verdict.values == ()


@pytest.mark.parametrize(
    ("where", "items"),
    [
        ("Table II, Fig. 10", ["Table II", "Fig. 10"]),
        ("Fig. 5 and 7", ["Fig. 5", "Fig. 7"]),
        ("§VII, Tables I and II", ["§VII", "Table I", "Table II"]),
        ("§V-C, talk", ["§V-C"]),
        ("Algorithm 1", ["Algorithm 1"]),
        ("talk", []),
    ],
)
def test_the_items_of_the_paper_that_a_claim_is_from(where, items):
    assert claim(where=where).items == items


def test_undefined_and_missing_numbers_reproduce_nothing():
    undefined = claim().verdict(run({"precision": float("nan")}))
    assert str(undefined) == "not testable here (not defined)"
    assert str(claim().verdict(run({}))) == "not testable here (not measured)"


def test_reading_the_ledger(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(ENTRY)
    assert read_claims(path) == [claim()]
    path.write_text(ENTRY.replace("{at_least: 0.6}", "{within: [0.7, 0.1]}"))
    assert read_claims(path)[0].judge == Judge("within", (0.7, 0.1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("at_least: 0.6", "about: 0.6", "claim 'one' is not well formed"),
        ("at_least: 0.6", "at_least: 0.6, at_most: 1", "claim 'one' is not well formed"),
        ("at_least: 0.6", "at_least: [0.6, 0.7]", "claim 'one' is not well formed"),
        ("at_least: 0.6", "at_least: much", "claim 'one' is not well formed"),
        ("at_least: 0.6", "within: 0.6", "claim 'one' is not well formed"),
        ("  why: A reason.\n", "", "claim 'one' is not well formed.*why"),
        ("  data: [set]\n", "  data: [set]\n" + ENTRY, "an id twice: one"),
    ],
)
def test_a_malformed_ledger_is_refused(tmp_path, old, new, message):
    path = tmp_path / "claims.yaml"
    path.write_text(ENTRY.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_claims(path)


def test_a_run_survives_json():
    before = run({"precision": Estimate(0.7, 0.6, 0.8), "baseline": 0.5})
    after = Run.from_dict(json.loads(json.dumps(before.to_dict())))
    assert after == before
    assert (after.numbers["precision"].low, after.numbers["precision"].high) == (0.6, 0.8)
    assert type(after.numbers["baseline"]) is float
    undefined = run({"a": Estimate(0.5), "b": Estimate(float("nan")), "c": float("nan")}).to_dict()
    text = json.dumps(undefined, allow_nan=True).replace("NaN", "null")  # as a notebook keeps it
    a, b, c = Run.from_dict(json.loads(text)).numbers.values()
    assert (a, a.low != a.low, b != b, c != c) == (0.5, True, True, True)
    recorded = replace(before, details={"parameters": {"size": 5}, "seconds": 1})
    assert recorded.to_dict()["seconds"] == 1
    assert Run.from_dict(json.loads(json.dumps(recorded.to_dict()))) == recorded


def recording(*values, kind="real"):
    return Recording(tuple(Run(replace(origin(kind), seed=s), {"precision": v}) for s, v in enumerate(values)))


@pytest.mark.parametrize(
    ("judge", "values", "outcome"),
    [
        (AT_LEAST, (0.70, 0.71, 0.72, 0.70, 0.71), "reproduced"),
        (AT_LEAST, (0.50, 0.51, 0.52, 0.50, 0.51), "not reproduced"),
        (AT_LEAST, (0.58, 0.63, 0.60, 0.64, 0.59), "undecided"),  # the mean, 0.608, would do
        (AT_LEAST, (0.58, 0.61, 0.57, 0.62, 0.60), "undecided"),  # the mean, 0.596, would not
        (Judge("at_most", (0.6,)), (0.58, 0.61, 0.60, 0.57, 0.59), "undecided"),
        (Judge("within", (0.6, 0.1)), (0.65, 0.66, 0.64, 0.65, 0.66), "reproduced"),
        (Judge("within", (0.6, 0.1)), (0.69, 0.72, 0.68, 0.70, 0.69), "undecided"),
        (Judge("within", (0.6, 0.1)), (0.49, 0.45, 0.47, 0.46, 0.48), "not reproduced"),
        (AT_LEAST, (0.7,), "undecided"),  # one seed has no interval
    ],
)
def test_of_several_seeds_the_whole_interval_decides(judge, values, outcome):
    verdict = claim(judge).verdict(recording(*values))
    assert verdict.outcome == outcome
    assert verdict.values == (pytest.approx(sum(values) / len(values)),)
    assert claim(judge).verdict(recording(*values, kind="stand-in")).outcome == "not testable here"


def test_an_ordering_is_judged_by_differences_within_seeds():
    """Two numbers that vary together may be told apart though their own intervals overlap."""
    runs_ = tuple(
        Run(replace(origin(), seed=s), {"a": 0.5 + 0.1 * s, "b": 0.45 + 0.1 * s + 0.001 * (s % 2)}) for s in range(5)
    )
    found = Recording(runs_)
    assert found.numbers["b"].high > found.numbers["a"].low
    assert claim(Judge("ordering", (0.04,)), ("a", "b")).verdict(found).outcome == "reproduced"
    assert claim(Judge("ordering", (0.0,)), ("b", "a")).verdict(found).outcome == "not reproduced"
    assert str(claim(quantities=("c",)).verdict(found)) == "not testable here (not measured)"


def test_a_recording_pools_its_seeds():
    found = recording(0.5, 0.6, 0.7)
    assert found.numbers["precision"] == pytest.approx(0.6)
    half = 4.302652729911275 * 0.1 / 3**0.5  # Student's quantile for two degrees of freedom
    assert found.numbers["precision"].low == pytest.approx(0.6 - half)
    assert found.origin.badge == "set · real data · profile own · seeds 0 to 2"
    assert recording(0.5).origin == origin()
    apart = Recording(
        tuple(replace(r, origin=replace(r.origin, seed=s)) for r, s in zip(found.runs, (0, 2, 5), strict=True))
    )
    assert apart.origin.seed == "0, 2, 5"
    curves = Recording(tuple(replace(r, arrays={"curve": [i, 2]}) for i, r in enumerate(found.runs)))
    assert curves.arrays["curve"].tolist() == [[0, 2], [1, 2], [2, 2]]


def test_recordings_and_score(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    for seed, value in ((0, 0.7), (10, 0.8), (2, 0.9)):
        path = runs.recorded_path("toy", "paper", seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(replace(run({"precision": value}), arrays={"curve": [0.5]}).to_dict()))
    found = runs.recordings()
    assert list(found) == ["toy"]
    assert [r.numbers["precision"] for r in found["toy"].runs] == [0.7, 0.9, 0.8]  # by seed, as numbers
    assert runs.recorded("toy").arrays["curve"].shape == (3, 1)
    assert runs.recorded("other") is runs.recorded("toy", "own") is None
    assert runs.recordings("own") == {}

    entries = [
        claim(),
        claim(Judge("at_least", (0.95,))),
        claim(quantities=("recall",)),  # waits for a recording: no verdict
        replace(claim(), untestable="a closed platform"),
        claim(Judge("at_least", (0.8,))),
    ]
    monkeypatch.setattr(ledger, "read_claims", lambda: entries)
    few = {"toy": recording(0.79, 0.80, 0.82, 0.80, 0.81)}
    one_each = {"reproduced": 1, "not reproduced": 1, "undecided": 1, "not testable here": 1}
    assert ledger.score(few)[ON_PAPERS_DATA] == one_each
    monkeypatch.setattr(ledger, "recordings", lambda: few)
    assert "1 claims wait for a recording of their numbers" in ledger.score_line()
    assert not any(ledger.score({})[ON_PAPERS_DATA].values())  # what has not run is no verdict
    assert not any(ledger.score(few)[BEYOND].values())
    points = ledger.paper_points([ledger.verdict_of(entry, few) for entry in entries])
    assert points == {ON_PAPERS_DATA: 3 * [(0.7, pytest.approx(0.804))]}


def test_some_numbers_may_come_from_fewer_seeds():
    dear = Recording(
        tuple(Run(replace(origin(), seed=s), {"precision": 0.7, **({"size": 0.9} if s < 2 else {})}) for s in range(4))
    )
    assert claim(quantities=("size",)).verdict(dear).outcome == "reproduced"
    assert str(claim(quantities=("other",)).verdict(dear)) == "not testable here (not measured)"


def test_two_claims_planted_wrong_come_out_so():
    seeds = recording(0.70, 0.74, 0.66, 0.72, 0.68)
    missed = claim(Judge("within", (0.9, 0.1)))
    straddled = claim(Judge("at_least", (0.69,)))
    assert [c.verdict(seeds).outcome for c in (missed, straddled)] == ["not reproduced", "undecided"]
