import json
from dataclasses import replace

import pytest

from mialib.book import claims, runs
from mialib.book.claims import Claim, Judge, read_claims
from mialib.book.runs import Origin, Run
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
  data: [real]
"""


def origin(kind="real"):
    return Origin("toy", "sample", 0, Provenance("set", kind, "here", "none", "0" * 64))


def run(numbers, kind="real"):
    return Run(origin(kind), numbers)


AT_LEAST = Judge("at_least", (0.6,))


def claim(judge=AT_LEAST, quantities=("precision",), data=("real",)):
    return Claim("one", "toy", "Fig. 1", "It leaks.", "0.7", quantities, judge, "A reason.", data)


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
    assert judge.slack(values) == pytest.approx(slack)
    numbers = {str(i): value for i, value in enumerate(values)}
    verdict = claim(judge, tuple(numbers)).verdict(run(numbers))
    assert verdict.outcome == ("reproduced" if slack >= 0 else "not reproduced")


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


def test_intervals_are_judged_by_their_value():
    verdict = claim().verdict(run({"precision": Estimate(0.61, 0.5, 0.7)}))
    assert verdict.outcome == "reproduced"


@pytest.mark.parametrize("value", [0.7, 0.1])
def test_a_stand_in_never_confirms(value):
    verdict = claim(data=("real", "sample")).verdict(run({"precision": value}, "stand-in"))
    assert verdict.outcome == "not testable here"
    assert str(verdict) == f"not testable here ({'holds' if value > 0.6 else 'fails'} on the stand-in)"


def test_a_sample_judges_only_what_it_may():
    of_sample = run({"precision": 0.7}, "sample")
    assert claim().verdict(of_sample).outcome == "not testable here"
    assert claim(data=("sample",)).verdict(of_sample).outcome == "reproduced"


def test_no_claim_lets_a_stand_in_judge():
    with pytest.raises(ValueError, match="lets stand-in judge it; only real and sample data may"):
        claim(data=("real", "stand-in"))


def test_undefined_and_missing_numbers_reproduce_nothing():
    assert claim().verdict(run({"precision": float("nan")})).outcome == "not reproduced"
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
        ("  data: [real]\n", "  data: [real]\n" + ENTRY, "an id twice: one"),
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
    recorded = replace(before, details={"parameters": {"size": 5}, "seconds": 1})
    assert recorded.to_dict()["seconds"] == 1
    assert Run.from_dict(json.loads(json.dumps(recorded.to_dict()))) == recorded


def test_recorded_runs_and_score(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    folder = tmp_path / "data" / "results" / "laptop"
    folder.mkdir(parents=True)
    toy = run({"precision": 0.7})
    (folder / "toy.json").write_text(json.dumps(toy.to_dict()))
    found = runs.recorded_runs("laptop")
    assert found == {"toy": toy}
    assert runs.recorded_run("toy") == toy
    assert runs.recorded_run("other") is runs.recorded_run("toy", "paper") is None
    assert runs.recorded_runs("paper") == {}

    ledger = [claim(), claim(Judge("at_least", (0.9,))), claim(quantities=("recall",))]
    monkeypatch.setattr(claims, "read_claims", lambda: ledger)
    assert claims.score(found) == {"reproduced": 1, "not reproduced": 1, "not testable here": 1}
    assert claims.score({}) == {"reproduced": 0, "not reproduced": 0, "not testable here": 3}
    assert claims.paper_points({"laptop": found, "paper": {}}) == {"laptop, real data": [(0.7, 0.7)]}
