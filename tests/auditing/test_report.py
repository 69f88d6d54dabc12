import csv
import json
import re
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from mialib.attack.answers import Answers, Inference
from mialib.auditing import report, rows
from mialib.auditing.audit import Settings, audit_saved
from mialib.auditing.filing import Filing, Input, command_line, redacted, threat_model
from mialib.auditing.findings import Findings
from mialib.auditing.panel import GAP, Said
from mialib.auditing.recommendation import FILTERS, RELEASE, RETRAIN, WITHHOLD, recommend, verdict_above
from mialib.auditing.shadows import Shadows
from mialib.auditing.structure import KEPT
from mialib.auditing.verdict import LEAKS, NO_LEAK, UNDECIDED, Bound, Verdict
from mialib.metrics import Estimate
from mialib.submission.saved import SavedAnswers
from mialib.submission.subjects import Opening


@dataclass(frozen=True)
class Check:
    name: str
    value: int | None
    unit: str
    concern: bool | None
    meaning: str


def made(n_classes=2, n=200, **more):
    """Return findings about a model that is surer of its members, the first half."""
    rng = np.random.default_rng(0)
    labels, member = np.arange(n) // 2 % n_classes, np.arange(n) < n // 2
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += np.where(member, 4, 0.5)
    vectors = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Findings("credit model", Answers(labels, vectors.astype(np.float32), member), **more)


@pytest.fixture(scope="module")
def findings():
    """100 records in and 100 out, with everything that a report may show."""
    return made(
        ids=np.array([f"p{i}" for i in range(200)]),
        by={"region": np.resize(np.array(["north", "south"]), 200)},
        structure=[
            Check("residual degrees of freedom", -1234, "degrees of freedom", True, "The model has room for people."),
            Check("smallest leaf", None, "", None, "It shows no leaves."),
        ],
    )


@pytest.fixture(scope="module")
def saved(findings, tmp_path_factory):
    """What `save` wrote: the page as text, the JSON parsed, the CSV as a table."""
    page, content, table = report.save(findings, tmp_path_factory.mktemp("deep") / "er" / "audit.html")
    assert not list(page.parent.glob("*.part"))
    return page.read_text(encoding="utf-8"), json.loads(content.read_text(encoding="utf-8")), pd.read_csv(table)


def errors(content):
    schema = json.loads(report.SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return [f"{e.json_path}: {e.message}" for e in Draft202012Validator(schema).iter_errors(content)]


def test_the_page_stands_alone_and_says_what_was_found(findings, saved):
    text = saved[0]
    assert "<script" not in text
    assert not re.search(r'(src|href)="http', text)
    assert text.count("<svg") == 2
    for words in (findings.sentence().split(":")[0], "residual degrees of freedom", "-1,234 degrees of freedom", "[0."):
        assert words in text
    for sentence in (*findings.limits(), *saved[1]["filing"]["not tested"]):
        assert sentence.split("'")[0] in text
    order = ["Recommendation: ", "How much leaks", "What it means", "What its structure tells", "By class"]
    order += ["By subgroup", "Most exposed records", "Differential privacy", "What would help", "What was not tested"]
    places = [text.index(f">{name}" if name[0] != "R" else name) for name in [*order, "How it was made"]]
    assert places == sorted(places)
    assert text.count('<th scope="col">') + text.count('<th scope="row">') == text.count("<th ")


def test_the_json_is_what_its_schema_says(findings, saved):
    content = saved[1]
    assert next(iter(content)) == "schema version"
    assert not errors(content)
    assert errors(content | {"schema version": "0.9"})
    assert errors(content | {"another": 1})
    assert errors({key: value for key, value in content.items() if key != "recommendation"})
    assert content["overall"]["loss"]["AUC"]["low"] < content["overall"]["loss"]["AUC"]["high"]
    assert content["overall"]["loss"]["TPR at 0.1 % FPR"]["value"] is None
    assert (content["records in"], content["base rate"]) == (100, 0.5)
    assert content["most exposed records"][0]["id"] == f"p{content['most exposed records'][0]['record'] - 1}"
    assert content["recommendation"]["action"] == recommend(findings).action
    assert content["by subgroup"]["region = north"]["in"] == content["by subgroup"]["region = south"]["out"] == 50


def test_the_schema_describes_a_regressor_too(saved):
    """A regressor has errors for accuracies, and rows of its own."""
    content = {key: value for key, value in saved[1].items() if not key.endswith("accuracy")}
    assert errors(content)
    content |= {"train error": 1.0, "test error": 2.0, "train R²": 0.9, "test R²": None, "by class": {}}
    of = {"record": 1, "value": 3.0, "prediction": 2.0, "residual": 1.0, "score": 1.0}
    content["most exposed records"] = [of | {"records out that score as high": 0}]
    for row in content["mitigations"].values():
        row["test error"] = 2.0
        del row["same class"]
    assert not errors(content)


def test_the_csv_has_a_row_for_each_record(findings, saved):
    table = saved[2]
    assert list(table["id"]) == [f"p{i}" for i in range(200)]
    assert list(table["set"]) == ["in"] * 100 + ["out"] * 100
    assert list(table["label"]) == list(findings.target.labels)
    np.testing.assert_allclose(
        table["probability of the true class"],
        findings.target.vectors[np.arange(200), findings.target.labels],
        rtol=1e-5,
    )
    for name, said in findings.attacks.items():
        np.testing.assert_allclose(table[f"score: {name}"], said.inference.score, rtol=1e-5)
    exposed = (table["p-value"] <= 0.01) & (table["set"] == "in")
    assert list(table["flag"] == "exposed") == list(exposed)


def test_p_values_are_conformal():
    member, score = np.array([True, True, False, False, False]), np.array([9.0, 2.0, 2.0, 3.0, 1.0])
    found = rows.p_values(Said(Inference(member, score, score > 2)))
    np.testing.assert_allclose(found, [1 / 4, 3 / 4, 2 / 3, 1 / 3, 3 / 3])


def test_p_values_compare_a_half_with_itself_and_leave_out_what_is_not_judged():
    member = np.array([True, False, False, True, False, True])
    score = np.array([5.0, 6.0, 4.0, 5.0, 1.0, np.nan])
    found = rows.p_values(Said(Inference(member, score, score > 2), half=np.array([0, 0, 0, 1, 1, 1])))
    np.testing.assert_allclose(found, [2 / 3, 1 / 2, 2 / 2, 1 / 2, 1 / 1, np.nan])


def test_p_values_of_a_model_that_leaks_nothing_are_even():
    rng = np.random.default_rng(1)
    member, score = np.arange(4000) < 2000, rng.normal(size=4000)
    found = rows.p_values(Said(Inference(member, score, score > 0)))
    for level in (0.01, 0.1, 0.5):
        assert np.mean(found[member] <= level) == pytest.approx(level, abs=4 * np.sqrt(level / 2000))
        assert np.mean(found[~member] <= level) == pytest.approx(level, abs=1 / 2000)


def test_no_cell_of_the_csv_is_a_formula(tmp_path):
    ids = np.array(["=1+1", "@SUM(A1)", "+1-1", "-2+3", "-7", "plain", "\t=1", "a=b"] * 25)
    found = made(ids=ids, classes=["=cmd|'/C calc'!A0", "-1"])
    cells = list(csv.reader(rows.as_csv(found).splitlines()))
    assert [row[0] for row in cells[1:9]] == ["'=1+1", "'@SUM(A1)", "'+1-1", "'-2+3", "-7", "plain", "'\t=1", "a=b"]
    assert {row[2] for row in cells[1:]} == {"'=cmd|'/C calc'!A0", "-1"}


def test_ids_that_are_numbers_keep_their_digits_and_records_without_ids_are_counted():
    found = made(ids=np.arange(200) + 12345678.0)
    assert rows.as_csv(found).splitlines()[1].startswith("12345678.0,in,")
    assert [line.split(",")[0] for line in rows.as_csv(made()).splitlines()[1:]] == [*map(str, range(1, 101))] * 2


def test_hostile_names_are_escaped():
    vectors, member = np.full((8, 2), 0.5), np.arange(8) < 4
    saved = SavedAnswers(vectors, np.array(["<b>", "a"] * 4), member, np.zeros(8, bool), ["<b>", "a"])
    hostile = audit_saved(saved, '<script>alert(1)</script> $\\frac$ "; } body { display: none } /* 100 %')
    hostile = replace(hostile, ids=np.array(["<i>"] * 8), by={"<u>": np.array(["</table>"] * 8)})
    text = report.html(hostile)
    for name in ("<script>", "<b>", "<i>", "<u>", "</table></th>"):
        assert name not in text
    style = text[text.index("<style>") : text.index("</style>")]
    assert re.search(r'content: "Membership audit of [\w .:-]*";', style)
    assert "display: none }" not in style
    assert not errors(report.content(hostile))


def test_tables_without_rows_are_left_out_and_long_ones_are_cut():
    text = report.html(made())
    for head in ("What its structure tells", "By subgroup", "Between seeds", 'aria-label="Inputs"'):
        assert head not in text
    many = made(n_classes=12, n=240)
    text = report.html(many)
    assert "2 more are in the JSON file" in text
    assert len(report.content(many)["by class"]) == 12


def test_a_report_replaces_nothing_that_was_audited(findings, tmp_path):
    given = tmp_path / "answers.csv"
    given.write_text("label,member\n")
    inputs = [Input.from_file("answers", given, 3)]
    with pytest.raises(ValueError, match=r"the report would replace .*answers\.csv, which is audited"):
        report.paths(tmp_path / "answers.html", inputs)
    filed = replace(findings, filing=Filing.now(findings, inputs=inputs))
    with pytest.raises(ValueError, match="would replace"):
        report.save(filed, tmp_path / "answers.html")
    assert [path.name for path in report.paths(tmp_path / "a.html", inputs)] == ["a.html", "a.json", "a.csv"]
    with pytest.raises(ValueError, match=r"does not end in \.html"):
        report.save(findings, tmp_path / "audit.txt")


def test_a_filing_says_with_what_it_was_made(tmp_path):
    (tmp_path / "in.csv").write_bytes(b"abc")
    words = ["mia", "audit", "https://me:secret@host/v2?api_key=123&x=1", "--token", "456", "--label", "a b"]
    inputs = [Input.from_file("records in", tmp_path / "in.csv", 1), Input("model", "https://me:secret@host/v2")]
    found = made()
    filing = Filing.now(found, Settings(seed=3), Opening(trust=("a.B", "c.D")), words, inputs, ("pandas",), True, 600)
    said = filing.to_dict()
    assert "secret" not in json.dumps(said)
    assert said["command"] == "mia audit 'https://***@host/v2?***' --token '***' --label 'a b'"
    assert said["inputs"][0] == {
        "role": "records in",
        "name": "in.csv",
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "bytes": 3,
        "records": 1,
    }
    assert said["inputs"][1]["name"] == "https://***@host/v2"
    assert {"python", "mialib", "numpy", "scikit-learn", "torch", "pandas"} == set(said["versions"])
    assert (said["settings"]["seed"], said["settings"]["trust"], said["settings"]["size"]) == (3, "a.B, c.D", None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", said["date"])
    assert "at most 600 times" in said["threat model"]
    assert not errors(report.content(found, filing))
    text = report.html(found, filing)
    assert "secret" not in text
    assert "ba7816bf8f01cfea" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:p@h:8000/a", "http://***@h:8000/a"),
        ("http://u:p@ss@h/a", "http://***@h/a"),
        ("http://h/a?key=1&b=2#c", "http://h/a?***"),
        ("http://h/a#Access_Token=abc", "http://h/a?***"),
        ("http://h/a;token=abc", "http://h/a;token=***"),
        ("http://h/a@b", "http://h/a@b"),
        ("model.skops", "model.skops"),
        ("me@home", "me@home"),
    ],
)
def test_secrets_of_an_address_are_not_filed(text, shown):
    assert redacted(text) == shown


def test_a_model_at_an_address_is_named_without_secrets(findings):
    at = replace(findings, name="target at http://me:pw@host")
    assert report.content(at)["model"] == "target at http://***@host"
    assert "pw@" not in report.html(at)


def test_a_command_without_secrets_is_as_it_was_typed():
    assert command_line(["mia", "audit", "m.onnx", "--allow-pickle", "--in", "a.csv"]) == (
        "mia audit m.onnx --allow-pickle --in a.csv"
    )
    assert command_line([]) == ""


def test_the_threat_model_says_what_was_used(findings):
    def with_shadows(own):
        return replace(findings, shadows=[Shadows("pool", "k", own, [findings.target])])

    def seeing(vectors):
        return threat_model(replace(findings, target=replace(findings.target, vectors=vectors)))

    assert "sees its prediction vector" in threat_model(findings)
    assert "train no models of their own" in threat_model(findings)
    assert "they know how it is trained" in threat_model(with_shadows(True))
    assert "they do not know how it is trained" in threat_model(with_shadows(False))
    assert "sees the label that it predicts" in seeing(np.eye(2)[findings.target.labels])
    assert "sees the value that it predicts" in seeing(np.arange(200.0))
    assert all(threat_model(of).count(". ") == 1 for of in (findings, with_shadows(True)))


def test_what_was_not_tested_depends_on_what_was(findings):
    def said(of, **more):
        return " ".join(Filing.now(of, **more).not_tested)

    assert "its structure was not checked" not in said(findings)
    assert "its structure was not checked" in said(replace(findings, structure=()))
    assert "subgroups" in said(replace(findings, by={}))
    assert "canaries" not in said(replace(findings, canaries=0.1))
    assert "shadow models, the strongest known" in said(findings)
    assert "own defences" in said(findings, service=True)


def bound(low, value, high, quantity="AUC", material=0.55):
    return Bound("loss", quantity, Estimate(value, low, high), 0.5, material)


def judged(outcome, of, gap=(0.49, 0.5, 0.51), groups=(), **more):
    """Return what `recommend` looks at."""
    share = Estimate(0.8, 0.78, 0.82)
    attacks = {GAP: SimpleNamespace(accuracy=lambda: Estimate(gap[1], gap[0], gap[2]))}
    rows = {
        "none": {"at most": of.found.high, "ruled out": of.ruled_out, "same class": 1.0},
        "label only": {"at most": 0.53, "ruled out": True, "same class": 1.0},
        "temperature 20": {"at most": 0.7, "ruled out": False, "same class": 1.0},
    }
    found = {
        "structure": [],
        "blind": Estimate(0.5, 0.4, 0.6),
        "material": 0.55,
        "epsilon": None,
        "privacy": {"lower bound": 0.2, "lower bound by canaries": None},
        "verdict": Verdict(outcome, [of], 0.55, of, of, list(groups), 900),
        "attacks": attacks,
        "mitigations": rows,
        "has_own_kind": True,
        "target": SimpleNamespace(train_accuracy=share, test_accuracy=share),
    }
    return SimpleNamespace(**found | more)


TIGHT, WIDE, LEAKING, SMALL = bound(0.48, 0.5, 0.52), bound(0.4, 0.5, 0.6), bound(0.6, 0.7, 0.8), bound(0.51, 0.53, 0.6)
NO_HELP = {"none": {"ruled out": False, "same class": 1.0}, "label only": {"ruled out": False, "same class": 1.0}}
USELESS = {"none": {"ruled out": False, "same class": 1.0}, "rounding": {"ruled out": True, "same class": 0.9}}
HOLDS = Check(KEPT, 40, "training records", True, "40 of 40 training records stand in the model.")
FREEDOM = Check("residual degrees of freedom", -1000, "degrees of freedom", True, "It has room for people.")
FINE = Check("residual degrees of freedom", 1000, "degrees of freedom", False, "Enough.")


@pytest.mark.parametrize(
    ("findings", "action", "reason"),
    [
        (judged(NO_LEAK, TIGHT), RELEASE, "AUC 0.500 [0.480, 0.520]"),
        (judged(NO_LEAK, TIGHT, structure=[FINE]), RELEASE, "No attack of 1 reaches 55%"),
        (judged(NO_LEAK, TIGHT, has_own_kind=False), "undecided: shadow models", "were not tried"),
        (judged(NO_LEAK, TIGHT, structure=[FREEDOM]), "undecided: the model's structure", "-1,000 degrees of freedom"),
        (judged(NO_LEAK, TIGHT, structure=[HOLDS]), WITHHOLD, "answers alone is another matter (release)"),
        (judged(NO_LEAK, TIGHT, blind=Estimate(0.7, 0.6, 0.8)), "undecided: records in and out", "features alone"),
        (judged(LEAKS, LEAKING, blind=Estimate(0.7, 0.6, 0.8)), "undecided: records in and out", "features alone"),
        (judged(NO_LEAK, TIGHT, epsilon=0.1), RETRAIN, "ε is at least 0.20, not 0.1"),
        (judged(UNDECIDED, WIDE), "undecided: more records", "About 900 records in"),
        (judged(LEAKS, LEAKING), FILTERS, "label only, no attack tried there reaches 55% (the highest bound is 0.530)"),
        (judged(LEAKS, LEAKING, structure=[HOLDS]), WITHHOLD, "another matter (release with filters)"),
        (judged(LEAKS, LEAKING, structure=[FREEDOM]), "undecided: the model's structure", "must judge"),
        (judged(LEAKS, LEAKING, has_own_kind=False), WITHHOLD, "no shadow models of its own kind were tried"),
        (judged(LEAKS, LEAKING, groups=["high"]), WITHHOLD, "single groups were not judged"),
        (judged(LEAKS, TIGHT, groups=["high"]), RETRAIN, "disclosive inside 1 of its groups, such as high"),
        (judged(LEAKS, LEAKING, mitigations=USELESS), WITHHOLD, "No output filter that was tried"),
        (judged(LEAKS, LEAKING, mitigations=NO_HELP), WITHHOLD, "Overfitting does not explain it"),
        (judged(LEAKS, LEAKING, (0.6, 0.65, 0.7), mitigations=NO_HELP), RETRAIN, "gap attack alone is right for 65.0%"),
        (judged(LEAKS, SMALL, mitigations=NO_HELP), RETRAIN, "AUC 0.530 [0.510, 0.600]"),
    ],
)
def test_a_recommendation_says_no_more_than_the_intervals(findings, action, reason):
    found = recommend(findings)
    assert found.action.startswith(action)
    assert (found.action == RELEASE) == (action == RELEASE)
    assert reason in found.reason


def test_sets_that_seem_swapped_are_not_judged():
    better, worse = Estimate(0.9, 0.88, 0.92), Estimate(0.6, 0.55, 0.65)
    swapped = SimpleNamespace(train_accuracy=worse, test_accuracy=better)
    assert recommend(judged(NO_LEAK, TIGHT, target=swapped)).action == "undecided: which records are in"
    assert recommend(
        judged(NO_LEAK, TIGHT, target=SimpleNamespace(train_accuracy=better, test_accuracy=worse))
    ).action == (RELEASE)


def test_a_regressor_is_recommended_by_its_errors():
    mitigations = {
        "none": {"ruled out": False, "test error": 2.0},
        "rounding to 1": {"ruled out": True, "at most": 0.54, "test error": 2.05},
    }
    far, near = Estimate(2.0, 1.9, 2.1), Estimate(1.0, 0.9, 1.1)
    of = {"attacks": {"residual": None}, "target": SimpleNamespace(train_error=near, test_error=far)}
    found = recommend(judged(LEAKS, LEAKING, mitigations=mitigations, **of))
    assert (found.action, "2.05 instead of 2" in found.reason) == (FILTERS, True)
    mitigations["rounding to 1"]["test error"] = 3.0
    found = recommend(judged(LEAKS, LEAKING, mitigations=mitigations, **of))
    assert (found.action, "off by 1 on records in, by 2 on others" in found.reason) == (RETRAIN, True)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.55, "above"), (0.6, "undecided"), (0.7, "undecided"), (0.8, "undecided"), (0.9, "below")],
)
def test_a_threshold_is_passed_only_with_a_whole_interval(threshold, expected):
    undefined = Estimate(np.nan)
    overall = {
        "loss": {
            "accuracy": Estimate(0.65, 0.6, 0.7),
            "AUC": Estimate(0.7, 0.6, 0.8),
            "TPR at 1 % FPR": Estimate(1, 1, 1),
        },
        "gap attack": {"accuracy": Estimate(0.5, 0.4, 0.6), "AUC": undefined},
    }
    assert verdict_above(SimpleNamespace(overall=overall), threshold) == expected


@pytest.mark.parametrize("threshold", [0.4, 1.0, np.nan])
def test_a_threshold_that_is_none(threshold):
    with pytest.raises(ValueError, match=r"it must be from 0\.5, which is guessing, to below 1"):
        verdict_above(SimpleNamespace(overall={}), threshold)


def test_mitigations_say_what_no_attack_passes(findings):
    for row in findings.mitigations.values():
        assert row["at most"] >= max(row["AUC"].high, row["accuracy"].high)
        assert not row["ruled out"] or row["at most"] < findings.material
