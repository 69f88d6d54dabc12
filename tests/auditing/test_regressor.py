import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from mialib.attack import lira
from mialib.attack.shadow import halves
from mialib.auditing import report
from mialib.auditing.audit import Settings
from mialib.auditing.regressor import RegressionFindings, Steps, audit_regressor, checked_labels, checked_values
from mialib.auditing.residuals import ResidualCase, Values, nearer_than_out
from mialib.auditing.shadows import HALVES, POOL, Shadows
from mialib.auditing.verdict import LEAKS, NO_LEAK
from mialib.submission.inputs import Records, join_records
from mialib.submission.refits import Refit, Trained
from mialib.submission.subjects import PLAIN, Subject

ONE = Settings(n_shadow=2, seeds=1)


def houses(rng, n, scale=1.0):
    """Return n records whose value hangs on two of five features, and on noise."""
    x = rng.normal(size=(n, 5))
    return Records(x, scale * (x[:, 0] + np.sin(2 * x[:, 1]) + rng.normal(size=n)))


def subject(estimator, records):
    fitted = estimator.fit(records.x, records.labels)
    return Subject(type(estimator).__name__, fitted.predict, Refit(estimator), task="regression")


@pytest.fixture(scope="module")
def forest():
    """Findings about a forest that has 300 records by heart, with shadow models of its own and of a pool."""
    rng = np.random.default_rng(0)
    in_, out, pool = (houses(rng, 300) for _ in range(3))
    return audit_regressor(
        subject(RandomForestRegressor(20, random_state=0), in_), in_, out, pool, Settings(4, seeds=2)
    )


@pytest.fixture
def case(rng):
    """400 records of which a target and eight shadow models come nearer to those that they know."""
    labels, member = rng.normal(size=400), np.arange(400) < 200
    in_ = rng.random((4, 400)) < 0.5
    in_ = np.stack([in_, ~in_], axis=1).reshape(8, 400)
    known, unknown = (labels + s * rng.normal(size=(9, 400)) for s in (0.3, 1.0))
    target = Values(labels, np.where(member, known[0], unknown[0]), member)
    own = Shadows(HALVES, "toys", True, [], np.where(in_, known[1:], unknown[1:]), in_, np.repeat([0, 1], 4))
    pool = Shadows(POOL, "toys", True, [], unknown[1:], np.zeros((8, 400), bool), np.repeat([0, 1], 4))
    return ResidualCase(target, halves(target, 0), (own, pool), rng.normal(size=(400, 4)))


def test_a_forest_leaks_and_every_attack_is_tried(forest):
    assert list(forest.attacks) == [
        "residual",
        "quantile regression",
        "LiRA, online",
        "RMIA, online",
        "LiRA, offline",
        "RMIA, offline",
    ]
    assert forest.verdict.outcome == LEAKS
    assert forest.sentence().startswith(f"Membership leaks: {forest.strongest}, of 6 attacks, ")
    assert "classif" not in " ".join([forest.sentence(), forest.about_model(), *forest.limits()])
    assert set(forest.between_seeds()) == set(list(forest.attacks)[2:])
    for of in forest.shadows:
        errors = [(a.train_error, a.test_error) for a in of.learned]
        assert all(known < 0.6 * unknown for known, unknown in errors)


def test_a_tree_that_knows_its_records_by_heart_is_told_by_the_residual_alone(rng):
    in_, out = houses(rng, 100), houses(rng, 100)
    found = audit_regressor(subject(DecisionTreeRegressor(random_state=0), in_), in_, out, None, ONE)
    assert found.attacks["residual"].accuracy() == 1
    assert found.verdict.outcome == LEAKS
    assert found.r2[0] == 1
    assert "R² is 1.000 on the records in" in found.about_model()
    assert all(np.isfinite(said.inference.score).all() for said in found.attacks.values())


def test_a_ridge_of_many_records_leaks_nothing(rng):
    in_, out = houses(rng, 4000), houses(rng, 4000)
    found = audit_regressor(subject(Ridge(), in_), in_, out, None, Settings(4, seeds=1))
    assert found.verdict.outcome == NO_LEAK
    assert found.sentence().startswith("No leak above 55% was found: balanced accuracy and AUC of each of 4 attacks")


def test_residuals_are_an_attack_by_themselves(case):
    said = case.run()["residual"].inference
    away = np.abs(case.target.labels - case.target.vectors)
    np.testing.assert_allclose(said.score, -away / away.mean())


@pytest.mark.parametrize(("i", "name"), [(0, "LiRA, online"), (1, "LiRA, offline")])
def test_likelihoods_are_those_of_scipy(case, i, name):
    """Each record by itself: one Gaussian a side, of its own mean and the variance that all records share."""
    residual = (case.target.labels - case.shadows[i].vectors) / case.unit
    observed = (case.target.labels - case.target.vectors) / case.unit
    in_, sides = case.shadows[i].in_, {}
    for side, used in (("in", in_), ("out", ~in_)):
        means = np.array([residual[used[:, j], j].mean() if used[:, j].any() else np.nan for j in range(400)])
        squares = sum(((residual[used[:, j], j] - means[j]) ** 2).sum() for j in range(400))
        freedom = sum(max(used[:, j].sum() - 1, 0) for j in range(400))
        sides[side] = means, np.sqrt(squares / freedom) if freedom else np.nan
    if i == 0:
        expected = norm.logpdf(observed, *sides["in"]) - norm.logpdf(observed, *sides["out"])
    else:
        expected = -np.log(np.diff(norm.cdf([-np.abs(observed), np.abs(observed)], *sides["out"]), axis=0)[0])
    np.testing.assert_allclose(case.run()[name].inference.score, expected, rtol=1e-6)


def test_coming_near_is_finite_where_probabilities_vanish():
    """A hundred deviations away a difference of two probabilities is 0 - 0; its logarithm is not."""
    shadows = np.array([[1.0, 1.0, -1.0], [1.02, 1.02, -1.02]])
    score = nearer_than_out(np.array([0.0, 0.5, 3.0]), shadows, np.zeros((2, 3), bool), lira.shared_variance)
    assert np.isfinite(score).all()
    assert score[0] > score[1] > 100 > 1e-6 > score[2] >= 0


def test_relative_scores_are_of_a_laplace_distribution(case):
    likely = np.exp(-np.abs(case.residual(case.target.vectors)))
    of = np.exp(-np.abs(case.residual(case.shadows[0].vectors)))
    in_ = case.shadows[0].in_
    general = np.array([(of[in_[:, j], j].mean() + of[~in_[:, j], j].mean()) / 2 for j in range(400)])
    ratio = likely / general
    expected = (ratio[:, None] >= ratio).mean(axis=1)
    np.testing.assert_allclose(case.run()["RMIA, online"].inference.score, expected)
    assert case.run()["RMIA, offline"].inference.auc == pytest.approx(
        ResidualCase(case.target, case.half, case.shadows[1:]).run()["RMIA, offline"].inference.auc
    )


def test_membership_in_one_half_never_decides_a_score_in_it(case):
    turned = case.target.member ^ (case.half == 0)
    mine, theirs = case.run(), replace(case, target=replace(case.target, member=turned)).run()
    here = case.half == 0
    for name, said in mine.items():
        judged = here if said.half is not None else slice(None)
        np.testing.assert_array_equal(said.inference.score[judged], theirs[name].inference.score[judged])
        np.testing.assert_array_equal(said.inference.inferred[here], theirs[name].inference.inferred[here])


def test_units_change_nothing(rng):
    """Values in dollars, in thousands of them, or in millionths: the same findings."""
    in_, out = houses(rng, 60), houses(rng, 60)
    found = []
    for scale in (1.0, 2.0**-10, 2.0**20):
        sides = [replace(of, labels=scale * of.labels) for of in (in_, out)]
        one = audit_regressor(subject(DecisionTreeRegressor(random_state=0, max_depth=5), sides[0]), *sides, None, ONE)
        found.append({name: str(value) for name, value in one.numbers().items() if "error" not in name})
    assert found[0] == found[1] == found[2]


def test_values_that_say_nothing_are_said_to_leak_in_few_audits():
    """Of 20 trees that know neither side, one or none: the error is 5 % at most."""
    rng, outcomes = np.random.default_rng(3), []
    for seed in range(20):
        others, in_, out = (houses(rng, 100) for _ in range(3))
        tree = DecisionTreeRegressor(max_depth=6, random_state=0)
        found = audit_regressor(subject(tree, others), in_, out, None, replace(ONE, seed=seed))
        outcomes.append(found.verdict.outcome)
    assert outcomes.count(LEAKS) <= 1
    assert NO_LEAK not in outcomes


def test_one_seed_one_finding(rng):
    in_, out, pool = houses(rng, 60), houses(rng, 60), houses(rng, 100)
    of = subject(RandomForestRegressor(5, random_state=0), in_)
    first, again, other = (audit_regressor(of, in_, out, pool, replace(ONE, seed=seed)).numbers() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_model_of_unknown_training_has_forests_in_its_place(rng):
    """Text and missing values too are taken; the same text has the same number in every part."""
    towns = np.array(["x", "y", "z"])

    def people(n):
        town = rng.choice(3, n)
        table = pd.DataFrame({"town": towns[town], "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))})
        return Records(table, 5.0 * town + rng.normal(size=n))

    in_, out, pool = people(80), people(80), people(160)
    asked = Subject(
        "service", lambda t: 5.0 * np.searchsorted(towns, t["town"])[:, None], PLAIN.stand_in, task="regression"
    )
    found = audit_regressor(asked, in_, out, pool, ONE)
    assert found.shadows[0].kind == "2 random forests in its place"
    assert not found.has_own_kind
    assert any("How the model was trained is not known" in said for said in found.limits())
    assert found.shadows[1].learned[0].test_error < 2.5


@pytest.mark.parametrize("called", [False, True])
def test_a_function_of_the_users_trains_shadow_models(rng, called):
    in_, out = houses(rng, 60), houses(rng, 60)

    def train(x, labels, seed):
        fitted = LinearRegression().fit(x, labels)
        return fitted.predict if called else fitted

    of = replace(subject(Ridge(), in_), refit=Trained(train, "mine"))
    found = audit_regressor(of, in_, out, None, ONE)
    assert found.shadows[0].kind == "2 trained by mine"
    assert found.has_own_kind


def test_sets_given_the_wrong_way_round_are_pointed_out(rng):
    in_, out = houses(rng, 100), houses(rng, 100)
    of = subject(DecisionTreeRegressor(random_state=0), in_)
    assert "check which records are which" in audit_regressor(of, out, in_, None, ONE).sentence()
    assert "check which" not in audit_regressor(of, in_, out, None, ONE).sentence()


@pytest.mark.parametrize(
    ("labels", "answers", "sentence"),
    [
        (["low", "high"], None, "labels are no finite numbers, such as 'low'; a regressor predicts numbers"),
        (["1.0", "inf"], None, "50 of 100 labels are no finite numbers, such as 'inf'"),
        ([2.0, 2.0], None, "all 100 labels are 2; a regressor is audited by values that differ"),
        (None, lambda x: np.where(np.arange(len(x)) == 4, np.nan, x[:, 0]), "the first is that of record 5"),
        (None, lambda x: np.zeros(len(x)), "all 100 of the model's answers are 0; a regressor is audited by"),
        (None, lambda x: x, r"have shape (100, 5); it must be (100,), one number for each"),
        (None, lambda x: np.full(len(x), "dear"), "are no numbers; a regressor answers with one each"),
    ],
)
def test_bad_input_gets_one_sentence(rng, labels, answers, sentence):
    in_, out = houses(rng, 50), houses(rng, 50)
    of = subject(Ridge(), in_)
    if answers is not None:
        of = replace(of, ask=answers)
    if labels is not None:
        in_, out = (replace(side, labels=np.resize(labels, 50)) for side in (in_, out))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        audit_regressor(of, in_, out, None, ONE)


def test_canaries_are_refused(rng):
    in_, out = houses(rng, 50), houses(rng, 50)
    with pytest.raises(ValueError, match="a regressor has no classes; leave --canaries out"):
        audit_regressor(subject(Ridge(), in_), in_, out, None, replace(ONE, canaries=10))


def test_persons_in_a_pool_of_just_twice_the_size_make_shadow_models_smaller(rng):
    persons = np.repeat(np.arange(20), 2)
    in_, out, pool = (replace(houses(rng, 40), groups=100 * i + persons) for i in range(3))
    pool = join_records(pool, replace(houses(rng, 40), groups=400 + persons))
    found = audit_regressor(subject(Ridge(), in_), in_, out, pool, ONE)
    assert [of.source for of in found.shadows] == [HALVES, POOL]
    assert {len(of.member) for of in found.shadows[1].learned} == {2 * 2 * 39}


def test_too_few_records_for_shadow_models_leave_the_other_attacks(rng):
    in_, out = houses(rng, 20), houses(rng, 20)

    class Picky(DummyRegressor):
        def fit(self, x, y):
            if len(x) > 1:
                raise ValueError("too few")

    of = replace(subject(Ridge(), in_), refit=Refit(Picky()))
    found = audit_regressor(of, in_, out, None, ONE)
    assert list(found.attacks) == ["residual", "quantile regression"]
    assert "(too few)" in " ".join(found.limits())


def test_labels_and_answers_become_numbers():
    np.testing.assert_array_equal(checked_labels(np.array(["1.5", 2], object)), [1.5, 2])
    assert checked_values([[1], [2]], 2, "the model").shape == (2,)


def test_rounding_is_one_of_the_mitigations(forest):
    np.testing.assert_allclose(Steps(0.5)(np.array([0.7, -1.3])), [0.5, -1.5])
    deviation = np.std(forest.target.labels)
    assert 1 < deviation < 10
    assert list(forest.mitigations) == ["none", "rounding to 0.01", "rounding to 0.1", "rounding to 1"]
    assert forest.mitigations["none"]["test error"] == pytest.approx(float(forest.target.test_error))
    rounded = np.abs(forest.target.labels - np.round(forest.target.vectors))[~forest.target.member].mean()
    assert forest.mitigations["rounding to 1"]["test error"] == pytest.approx(rounded)
    assert forest.mitigations["rounding to 1"]["AUC"] < forest.mitigations["none"]["AUC"]


def test_errors_are_those_of_the_records(forest):
    away, member = np.abs(forest.target.labels - forest.target.vectors), forest.target.member
    assert forest.numbers()["train error"] == pytest.approx(away[member].mean())
    assert forest.numbers()["test error"] == pytest.approx(away[~member].mean())
    labels = forest.target.labels[~member]
    assert forest.r2[1] == pytest.approx(1 - np.mean(away[~member] ** 2) / labels.var())
    _, shares = forest.spread()
    assert np.mean(shares == 1) == pytest.approx(0.01, abs=0.005)
    assert shares.min() >= 0


def test_the_report_shows_a_regressor(forest, tmp_path):
    page, content, _ = report.save(forest, tmp_path / "forest.html")
    text, found = page.read_text(), json.loads(content.read_text())
    assert "By class" not in text
    assert "class" not in re.sub(r"<[^>]*>", "", text[text.index("<body") :])
    assert '<th scope="col">prediction</th><th scope="col">residual</th>' in text
    assert f"R² is {forest.r2[0]:.3f}" in text
    assert found["train error"] == pytest.approx(float(forest.target.train_error))
    assert found["train accuracy"] is None
    assert found["most exposed records"][0]["record"] >= 1
    assert found["by class"] == found["beyond overfitting"] == {}
    assert isinstance(forest, RegressionFindings)
