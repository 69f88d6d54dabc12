"""Numbers are computed here anew, from the trees, support vectors and answers of small models."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import KNNImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mialib.auditing.structure import CELL, FREEDOM, GROUP, KEPT, LEAF, RARE, RULED_OUT, checks
from mialib.submission.inputs import Records

N = 120


@pytest.fixture
def people(rng):
    x = rng.normal(size=(N, 3))
    return Records(x, np.where(x[:, 0] + rng.normal(size=N) > 0, "ill", "well"))


@pytest.fixture
def values(rng):
    x = rng.normal(size=(N, 3))
    return Records(x, x[:, 0] + rng.normal(size=N))


def look(model, records, **settings):
    """Return the checks of a model, fitted here, by name."""
    found = checks(model.fit(records.x, records.labels), records, **settings)
    assert len({check.name for check in found}) == len(found)
    return {check.name: check for check in found}


def figures(found):
    return {name: (check.value, check.concern) for name, check in found.items()}


def parameters(tree, free):
    """Return two for each split of a tree, and so many for each leaf."""
    n_leaves = sum(child == -1 for child in tree.children_left)
    return 2 * (tree.node_count - n_leaves) + free * n_leaves


def test_a_decision_tree(people):
    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=3, random_state=0)
    found = look(tree, people)
    in_leaf = Counter(tree.apply(people.x))
    groups = Counter(answer := [tuple(vector) for vector in tree.predict_proba(people.x)])
    cells = Counter(zip(answer, people.labels, strict=True))
    n_certain = sum(0 in vector for vector in answer)
    assert 0 < n_certain < N
    assert figures(found) == {
        FREEDOM: (N - parameters(tree.tree_, 1), False),
        LEAF: (min(in_leaf.values()), True),
        GROUP: (min(groups.values()), True),
        CELL: (min(cells.values()), True),
        RULED_OUT: (n_certain, True),
        KEPT: (0, False),
    }
    few = sum(size < 10 for size in in_leaf.values())
    assert (
        f"The smallest of {len(in_leaf)} leaves was made from 3 training records, and {few} from" in found[LEAF].meaning
    )
    few = sum(size for size in groups.values() if size < 10)
    assert f"smallest of {len(groups)} groups" in found[GROUP].meaning
    assert f"{few} records stand in groups of fewer than 10" in found[GROUP].meaning
    assert f"{sum(count < 10 for count in cells.values())} of {len(cells)} counts are below 10" in found[CELL].meaning
    assert f"In its answers to {n_certain} training records" in found[RULED_OUT].meaning


def test_large_leaves_are_no_concern(people):
    found = look(DecisionTreeClassifier(max_depth=1, min_samples_leaf=30), people)
    assert not any(check.concern for check in found.values())
    assert found[FREEDOM].value == N - (2 + 2)
    assert look(DecisionTreeClassifier(max_depth=1), people, threshold=200)[LEAF].concern


def test_nearest_neighbours(people):
    model = KNeighborsClassifier(5)
    found = look(model, people)
    shares = [tuple(vector) for vector in model.predict_proba(people.x).round(1)]
    assert figures(found) == {
        FREEDOM: (None, None),
        GROUP: (min(Counter(shares).values()), min(Counter(shares).values()) < 10),
        CELL: (min(cells := Counter(zip(shares, people.labels, strict=True)).values()), min(cells) < 10),
        RULED_OUT: (sum(0 in share for share in shares), True),
        KEPT: (N, True),
    }
    assert "KNeighborsClassifier" in found[FREEDOM].meaning
    assert f"holds {N} of {N} training records as they are" in found[KEPT].meaning
    assert "KNeighborsClassifier._fit_X" in found[KEPT].meaning


def test_a_support_vector_machine(people):
    model = SVC()
    found = look(model, people)
    n_held = len(model.support_)
    assert n_held < N
    assert figures(found) == {
        FREEDOM: (N - n_held - 1, N - n_held - 1 < 10),  # a weight for each, and one intercept
        GROUP: (min(Counter(model.predict(people.x)).values()), False),
        RULED_OUT: (None, None),
        KEPT: (n_held, True),
    }
    assert f"holds {n_held} of {N} training records as they are (SVC.support_vectors_)" in found[KEPT].meaning
    assert "answers with a class alone" in found[RULED_OUT].meaning

    def one_hot(x):
        return np.eye(2)[(model.predict(x) == "well").astype(int)]

    assert figures(look(model, people, subject_ask=one_hot)) == figures(found)


def test_ridge(values):
    found = look(Ridge(), values)
    assert figures(found) == {FREEDOM: (N - 4, False), GROUP: (1, None), KEPT: (0, False)}
    assert found[FREEDOM].meaning.startswith("120 training records less 4 fitted parameters leave 116; ")
    assert f"The smallest of {N} groups" in found[GROUP].meaning
    assert look(Ridge(fit_intercept=False), values)[FREEDOM].value == N - 3
    wide = Records(np.random.default_rng(0).normal(size=(20, 12)), np.arange(20.0))
    assert figures(look(Ridge(), wide))[FREEDOM] == (7, True)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (RandomForestClassifier(5, max_depth=3), lambda m: sum(parameters(of.tree_, 1) for of in m.estimators_)),
        (
            GradientBoostingClassifier(n_estimators=5),
            lambda m: sum(parameters(of.tree_, 1) for of in m.estimators_.flat),
        ),
        (HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=3), lambda m: 2 * 2 + 3),
        (MLPClassifier((7,), max_iter=5), lambda m: 3 * 7 + 7 + 7 + 1),
        (GaussianNB(), lambda m: 2 * 3 + 2 * 3 + 2),
        (
            VotingClassifier([("a", LogisticRegression()), ("b", make_pipeline(StandardScaler(), GaussianNB()))]),
            lambda m: 18,
        ),
        (StackingClassifier([("a", LogisticRegression()), ("b", GaussianNB())]), lambda m: 4 + 14 + 3),
        (CalibratedClassifierCV(LogisticRegression(), cv=3), lambda m: 3 * (4 + 2)),
        (GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=2), lambda m: 4),
        (make_pipeline(StandardScaler(), "passthrough", LogisticRegression()), lambda m: 4),
    ],
    ids=lambda of: type(of).__name__,
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_parameters_are_counted(people, model, count):
    found = look(model, people)
    assert found[FREEDOM].value == N - count(model)
    assert found[KEPT].value == 0


def test_leaves_of_ensembles(people):
    forest = RandomForestClassifier(5, min_samples_leaf=4, random_state=0)
    trees = [of.tree_ for of in forest.fit(people.x, people.labels).estimators_]
    leaves = [tree.n_node_samples[i] for tree in trees for i in range(tree.node_count) if tree.children_left[i] == -1]
    found = look(forest, people)
    assert found[LEAF].value == min(leaves)
    assert f"smallest of {len(leaves)} leaves" in found[LEAF].meaning
    assert figures(look(HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=25), people))[LEAF][1] is False


def test_a_regression_tree_of_single_people(values):
    found = look(DecisionTreeRegressor(), values)
    assert figures(found) == {
        FREEDOM: (N - 2 * (N - 1) - N, True),
        LEAF: (1, True),
        GROUP: (1, True),
        KEPT: (0, False),
    }


class Densities(ClassifierMixin, BaseEstimator):
    """Bayes' rule on densities, which hold the records in a compiled tree, inside a dictionary."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        self.densities_ = {name: KernelDensity().fit(x[y == name]) for name in self.classes_}
        return self

    def predict_proba(self, x):
        likely = np.exp([self.densities_[name].score_samples(x) for name in self.classes_]).T
        return likely / likely.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("model", "n_held"),
    [
        (make_pipeline(StandardScaler(), SVC()), lambda m: len(m[-1].support_)),
        (make_pipeline(StandardScaler(), Nystroem(n_components=9), LogisticRegression()), lambda m: 9),
        (make_pipeline(KNNImputer(), LogisticRegression()), lambda m: N),
        (GaussianProcessClassifier(), lambda m: N),
        (Densities(), lambda m: N),
        (
            GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1]}, cv=2),
            lambda m: len(m.best_estimator_[-1].support_),
        ),
        (CalibratedClassifierCV(FrozenEstimator(SVC())), lambda m: len(m.estimator.support_)),
        (
            BaggingClassifier(KNeighborsClassifier(), 2, max_features=2, random_state=0),
            lambda m: len(set(np.concatenate(m.estimators_samples_))),
        ),
    ],
    ids=lambda of: type(of).__name__,
)
def test_records_are_found_wherever_they_are_held(people, model, n_held):
    if hasattr(getattr(model, "estimator", None), "estimator"):
        model.estimator.estimator.fit(people.x, people.labels)
    found = look(model, people)
    assert (found[KEPT].value, found[KEPT].concern) == (n_held(model), True)


def test_records_are_found_in_regressors(values):
    model = SVR()
    assert look(model, values)[KEPT].value == len(model.fit(values.x, values.labels).support_)
    found = look(KernelRidge(kernel="rbf"), values)
    assert figures(found) == {FREEDOM: (0, True), GROUP: (1, None), KEPT: (N, True)}
    one = Records(values.x[:, :1], values.labels)
    model = IsotonicRegression()
    found = look(model, one)
    assert found[KEPT].value == sum(value in set(model.X_thresholds_) for value in one.x[:, 0])


def test_records_are_found_in_sparse_matrices_and_tables(people):
    """Each person has a word of their own, and four come from a town that is not named in the report."""
    texts = Records(pd.DataFrame({"text": [f"cough fever n{i}" for i in range(N)]}), people.labels)
    model = make_pipeline(TfidfVectorizer(), SVC(kernel="linear")).fit(texts.x["text"], texts.labels)
    assert sparse.issparse(model[-1].support_vectors_)
    found = {check.name: check for check in checks(model, texts)}
    assert found[KEPT].value == len(model[-1].support_)
    assert found[RARE].value == N
    assert f"{N} of {N + 2} categories or words" in found[RARE].meaning
    table = pd.DataFrame(people.x, columns=list("abc")).assign(town=["small"] * 4 + ["large"] * (N - 4))
    table.loc[::5, "a"] = np.nan
    columns = make_column_transformer((OneHotEncoder(min_frequency=20), ["town"]), (KNNImputer(), ["a", "b", "c"]))
    found = look(make_pipeline(columns, LogisticRegression()), Records(table, people.labels))
    assert figures(found)[KEPT] == (N, True)
    assert figures(found)[RARE] == (1, True)
    assert "small" not in found[RARE].meaning
    known = OneHotEncoder(categories=[["small", "large"]])
    found = look(make_pipeline(known, LogisticRegression()), Records(table[["town"]], people.labels))
    assert RARE not in found


def test_a_record_of_zeros_is_no_find(values):
    zeros = Records(np.concatenate([values.x, np.zeros((1, 3))]), np.append(values.labels, 0))
    model = Lasso(alpha=100)
    assert look(model, zeros)[KEPT].value == 0
    assert not model.sparse_coef_.toarray().any()


def test_records_that_the_model_was_not_trained_on(people, rng):
    model = SVC().fit(rng.normal(size=(50, 3)), rng.choice(["ill", "well"], 50))
    found = {check.name: check for check in checks(model, people)}
    assert figures(found)[KEPT] == (0, True)
    assert f"({len(model.support_)} rows in SVC.support_vectors_), though none equals one" in found[KEPT].meaning


def test_a_network(people):
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    net.register_buffer("prototypes", torch.tensor(people.x[:6], dtype=torch.float32))

    def ask(x):
        return torch.softmax(net(torch.tensor(x, dtype=torch.float32)), dim=1).detach().numpy()

    found = {check.name: check for check in checks(net, people, ask)}
    assert figures(found) == {
        FREEDOM: (N - (3 * 4 + 4 + 4 * 2 + 2), False),
        GROUP: (1, None),
        RULED_OUT: (0, False),
        KEPT: (6, True),
    }


def test_what_cannot_be_looked_at_is_said(people):
    found = {check.name: check for check in checks(object(), people)}
    assert figures(found) == dict.fromkeys((FREEDOM, LEAF, GROUP, KEPT), (None, None))
    assert "This could not be looked at" in found[GROUP].meaning
    assert "object" in found[FREEDOM].meaning

    def ask(x):
        return np.tile([0.25, 0.75], (len(x), 1))

    found = {check.name: check for check in checks(ask, people, ask)}
    rarer = min(Counter(people.labels).values())
    assert figures(found) == {
        FREEDOM: (None, None),
        LEAF: (None, None),
        GROUP: (N, False),
        CELL: (rarer, False),
        RULED_OUT: (0, False),
        KEPT: (None, None),
    }


def test_records_that_do_not_fit_the_model_are_said_not_to(people):
    table = pd.DataFrame(people.x, columns=list("abc"))
    model = make_pipeline(StandardScaler(), SVC()).fit(table, people.labels)
    found = {check.name: check for check in checks(model, Records(table[["a", "b"]], people.labels))}
    assert found[GROUP].value is None
    assert "none equals one" in found[KEPT].meaning


def test_a_threshold_is_a_whole_number(people):
    with pytest.raises(ValueError, match="threshold is 0; it must be a whole number of at least 1"):
        checks(GaussianNB(), people, threshold=0)


def test_xgboost(people):
    model = pytest.importorskip("xgboost").XGBClassifier(n_estimators=3, max_depth=2)
    coded = Records(people.x, (people.labels == "ill").astype(int))
    found = look(model, coded)
    text = "".join(model.get_booster().get_dump())
    assert found[FREEDOM].value == N - 2 * text.count("<") - text.count("leaf=")
    assert found[LEAF].value == min(min(Counter(of).values()) for of in model.apply(people.x).T)


def test_lightgbm(people):
    model = pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=3, num_leaves=4, verbose=-1)
    found = look(model, people)
    assert found[FREEDOM].value == N - 3 * (2 * 3 + 4)
    leaves = model.predict(people.x, pred_leaf=True)
    assert found[LEAF].value == min(min(Counter(of).values()) for of in leaves.T)
