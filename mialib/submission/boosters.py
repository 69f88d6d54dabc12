"""Models of XGBoost, LightGBM and CatBoost, in their own files."""

import json
import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mialib.platforms.estimators import seeded
from mialib.submission.fitted import categories_of, names_of
from mialib.submission.refits import Refit
from mialib.submission.subjects import Subject
from mialib.submission.trees import check_lightgbm, check_xgboost, read_json

VALUES = {"regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie"}
"""Objectives of LightGBM that predict values."""

RANKS = ("rank:", "survival:", "lambdarank", "rank_xendcg", "cross_entropy_lambda")

SETTINGS = {
    "boosting": "boosting_type",
    "min_gain_to_split": "min_split_gain",
    "min_sum_hessian_in_leaf": "min_child_weight",
    "min_data_in_leaf": "min_child_samples",
    "bagging_fraction": "subsample",
    "bagging_freq": "subsample_freq",
    "feature_fraction": "colsample_bytree",
    "lambda_l1": "reg_alpha",
    "lambda_l2": "reg_lambda",
}
"""Settings of LightGBM by what its files and its estimators call them."""

SAME = re.compile(
    "objective|num_leaves|max_.*|learning_rate|(pos|neg)_bagging_fraction|feature_fraction_bynode|extra_trees|linear_.*|"
    "(skip_|uniform_)?drop(_rate)?|xgboost_dart_mode|(top|other)_rate|min_data_(per_group|in_bin)|cat_.*|path_smooth|"
    "is_unbalance|scale_pos_weight|boost_from_average|alpha|fair_c|poisson_max_delta_step|tweedie_variance_power"
)
"""Those that both call the same, and that decide what is learned; seeds, files and machines are not among them."""


@dataclass(frozen=True, eq=False)
class OfKind(Refit):
    """Trains estimators of the audited model's kind, of whose settings its file holds but some."""

    known = False

    def __str__(self):
        settings = self.estimator.get_params()
        some = ", ".join(f"{name} = {settings[name]}" for name in ("n_estimators", "max_depth") if settings.get(name))
        return f"models of the same kind, {type(self.estimator).__name__}, with {some} and defaults otherwise"


@dataclass(frozen=True, eq=False)
class OfCatBoost(Refit):
    """Trains estimators of CatBoost, which scikit-learn cannot copy if they know their columns of categories."""

    divided: tuple[int, ...] = ()

    @classmethod
    def like(cls, model):
        """Return how to train such a model as a fitted one was."""
        settings = {of: value for of, value in model.get_params().items() if of not in ("random_seed", "cat_features")}
        settings |= {"random_state": 0, "verbose": False, "allow_writing_files": False, "thread_count": 1}
        for same in ("silent", "verbose_eval", "logging_level"):
            settings.pop(same, None)
        return cls(type(model)(**settings), tuple(model.get_cat_feature_indices()))

    def fit(self, x, labels, seed, weights=None):
        """Return a copy, fitted with the user's labels, and weights if there are any."""
        divided = list(self.divided) or None
        return seeded(self.estimator, seed).fit(x, labels, cat_features=divided, sample_weight=weights)


def open_xgboost(path, opening):
    """Return a model that XGBoost saved; a ValueError if it is neither classifier nor regressor."""
    import xgboost

    check_xgboost(read_json(path))
    return from_booster(xgboost.Booster(model_file=path), path.name, opening)


def open_lightgbm(path, opening):
    """Return a model that LightGBM saved; a ValueError if it is neither classifier nor regressor."""
    import lightgbm

    check_lightgbm(path.read_text(encoding="utf-8"))
    return from_booster(lightgbm.Booster(model_file=path), path.name, opening)


def from_booster(booster, name, opening):
    """Return a Booster of XGBoost or LightGBM as a subject; a ValueError if it is neither classifier nor regressor."""
    return (_of_lightgbm if type(booster).__module__.startswith("lightgbm") else _of_xgboost)(booster, name, opening)


def _of_xgboost(booster, name, opening):
    from xgboost import XGBClassifier, XGBRegressor

    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    _check_no_ranks(name, objective)
    logit = objective == "binary:logitraw"
    values = not objective.startswith(("binary:", "multi:"))
    model = (XGBRegressor if values else XGBClassifier)()
    model.load_model(booster.save_raw("ubj"))
    names, types = names_of(model), booster.feature_types or ()
    deepest = max((line.count("\t") for tree in booster.get_dump() for line in tree.splitlines()), default=0)
    fresh = type(model)(
        n_estimators=booster.num_boosted_rounds(),
        max_depth=deepest or None,
        booster=learner["gradient_booster"]["name"],
        objective=objective,
        enable_categorical="c" in types,
        n_jobs=1,
    )
    kinds = {} if names is None else dict(zip(names, _kinds_of_xgboost(booster, types), strict=False))

    def ask(x):
        x = x if names is not None else _plain(x)
        if logit:
            return booster.inplace_predict(x, predict_type="margin")
        return (model.predict if values else model.predict_proba)(x)

    return _subject(name, opening, ask, OfKind(fresh), names, booster.num_features(), kinds, values, logits=logit)


def _kinds_of_xgboost(booster, types):
    """Return the kind of each column of a booster of XGBoost, with the categories that it keeps from 3.1 on."""
    if "c" not in types or not hasattr(booster, "get_categories"):
        return ["category" if of == "c" else "number" for of in types]
    known = booster.get_categories(export_to_arrow=True).to_arrow()
    return ["number" if of is None else pd.CategoricalDtype(of.to_pylist()) for _, of in known]


def _of_lightgbm(booster, name, opening):
    from lightgbm import LGBMClassifier, LGBMRegressor

    head = booster.model_to_string(num_iteration=1).split("\nTree=", 1)[0]
    head = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
    objective = head.get("objective", "").split(" ")[0]
    _check_no_ranks(name, objective)
    values = objective in VALUES or opening.regression
    known = {of: value for of, value in booster.params.items() if of in SETTINGS or SAME.fullmatch(of)}
    kind = LGBMRegressor if values else LGBMClassifier
    fresh = kind(
        n_estimators=booster.current_iteration(),
        **{SETTINGS.get(of, of): value for of, value in known.items()},
        random_state=0,
        n_jobs=1,
        verbose=-1,
    )
    names = booster.feature_name()
    names = None if names == [f"Column_{i}" for i in range(len(names))] else np.array(names, object)
    kinds = {} if names is None else dict(zip(names, categories_of(booster), strict=True))
    kinds = {of: kind for of, kind in kinds.items() if kind is not None}

    def ask(x):
        return booster.predict(x if names is not None else _plain(x))

    refit = (Refit if len(known) > len(SETTINGS) else OfKind)(fresh)
    rounded = objective == "multiclassova"  # one model a class, whose probabilities LightGBM leaves as they are
    return _subject(name, opening, ask, refit, names, booster.num_feature(), kinds, values, rounded=rounded)


def open_catboost(path, opening):
    """Return a model that CatBoost saved."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    model = CatBoostClassifier().load_model(path)
    values = not len(model.classes_)
    if values:
        model = CatBoostRegressor().load_model(path)
    names, divided = names_of(model), model.get_cat_feature_indices()
    kinds = {} if names is None else {of: "text" if i in divided else "number" for i, of in enumerate(names)}

    def ask(x):
        x = x if names is not None else _plain(x)
        return model.predict(x) if values else model.predict_proba(x)

    classes = None if values else np.asarray(model.classes_)
    n_features = len(model.feature_names_)
    return _subject(path.name, opening, ask, OfCatBoost.like(model), names, n_features, kinds, values, classes)


def _subject(name, opening, ask, refit, names, n_features, kinds, values, classes=None, **reading):
    reading = {of: True for of, said in reading.items() if said}
    return Subject(
        name,
        ask,
        refit,
        classes,
        opening.partial,
        names,
        n_features,
        kinds,
        task="regression" if values else "classification",
        opening=replace(opening, **reading),
    )


def _check_no_ranks(name, objective):
    if objective.startswith(RANKS):
        raise ValueError(f"{name} was trained for {objective}; an audit is of a classifier or a regressor")


def _plain(x):
    """Return records of a model that was fitted on an array."""
    return x.to_numpy() if isinstance(x, pd.DataFrame) else np.reshape(x, (len(x), -1))
