"""What a fitted estimator knows of the records that it takes: names of columns, their kinds, and texts."""

import re

import numpy as np
import pandas as pd
from sklearn.base import is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer


def takes_values(estimator):
    """Say whether an estimator is a regressor; one that follows scikit-learn in nothing is not."""
    return (hasattr(estimator, "__sklearn_tags__") or hasattr(estimator, "_estimator_type")) and is_regressor(estimator)


def names_of(estimator):
    """Return the names of the columns that an estimator was fitted on (ndarray of str), None if it knows none."""
    names = getattr(estimator, "feature_names_in_", None)
    names = getattr(estimator, "feature_names_", None) if names is None else names  # of CatBoost
    made_up = names is None or all(re.fullmatch(rf"(Column_)?{i}", str(name)) for i, name in enumerate(names))
    return None if made_up else np.array(list(map(str, names)), object)


def n_features_of(estimator):
    """Return how many features an estimator was fitted on, None if it does not know."""
    names = names_of(estimator)
    return (getattr(estimator, "n_features_in_", None) or None) if names is None else len(names)


def kinds_of(estimator):
    """Return what an estimator takes in each column: "number", "text" or a category's dtype, where it says so (dict).

    A dtype of pandas for categories equals "category".
    """
    names = names_of(estimator)
    if names is None:
        return {}
    return {name: kind for name, kind in zip(names, _kinds(estimator, len(names)), strict=True) if kind is not None}


def _kinds(step, n):
    """Return the kind of each of n columns that a fitted step takes, None where it does not say."""
    if hasattr(step, "best_estimator_"):
        return _kinds(step.best_estimator_, n)
    if isinstance(step, Pipeline):
        return _kinds(next(part for _, part in step.steps if part != "passthrough"), n)
    if isinstance(step, FeatureUnion):
        return next(filter(any, (_kinds(part, n) for _, part in step.transformer_list)), [None] * n)
    if isinstance(step, ColumnTransformer):
        found, places = [None] * n, step._transformer_to_input_indices
        for name, part, _ in step.transformers_:
            some = list(places.get(name, ()))
            for place, kind in zip(some, _kinds(part, len(some)), strict=True):
                found[place] = kind or found[place]
        return found
    if len(getattr(step, "categories_", ())) == n:
        return ["text" if any(isinstance(c, str) for c in known) else "number" for known in step.categories_]
    if hasattr(step, "statistics_"):
        return ["text" if isinstance(value, str) else "number" for value in step.statistics_]
    if getattr(step, "is_categorical_", None) is not None:  # of a booster by histograms
        category = "category" if step.categorical_features == "from_dtype" else None
        return [category if divided else "number" for divided in step.is_categorical_]
    if hasattr(step, "booster_"):
        return categories_of(step.booster_)
    if isinstance(step, FunctionTransformer):
        return [None if step.func else "number"] * n
    room = type(step).__module__.split(".")
    numbers = step == "passthrough" or (room[0] == "sklearn" and "feature_extraction" not in room)
    return ["number" if numbers else None] * n


def categories_of(booster):
    """Return for each column of a booster of LightGBM "number", or the dtype of its categories."""
    head = booster.model_to_string(num_iteration=1).split("\nTree=", 1)[0]
    of_columns = next(line for line in head.splitlines() if line.startswith("feature_infos=")).split("=", 1)[1].split()
    divided = [not info.startswith("[") and info != "none" for info in of_columns]
    known = list(getattr(booster, "pandas_categorical", None) or ())
    if len(known) != sum(divided):  # a column of one category only is not among them
        return [("category" if known else None) if c else "number" for c in divided]
    of_known = iter(known)
    return [pd.CategoricalDtype(next(of_known)) if c else "number" for c in divided]


def takes_texts(estimator):
    """Say whether an estimator begins with a vectoriser of texts, which takes a sequence of str."""
    if isinstance(estimator, Pipeline):
        return takes_texts(estimator.steps[0][1])
    if isinstance(estimator, FeatureUnion):
        return any(takes_texts(part) for _, part in estimator.transformer_list)
    if hasattr(estimator, "best_estimator_"):
        return takes_texts(estimator.best_estimator_)
    return hasattr(estimator, "build_analyzer")


def on_texts(estimator):
    """Return a pipeline that takes the one text column of its records to an estimator of texts."""
    steps = estimator.steps if isinstance(estimator, Pipeline) else [("model", estimator)]
    return Pipeline([("texts", FunctionTransformer(as_texts)), *steps])


def as_texts(x):
    """Return the one text column of records as ndarray of str, shape (n,); a ValueError if there is not one."""
    x = x if isinstance(x, pd.DataFrame) else pd.DataFrame(np.asarray(x).reshape(len(x), -1)).infer_objects()
    text = [name for name in x.columns if pd.api.types.is_string_dtype(x[name].dropna())]
    if len(text) != 1:
        raise ValueError(f"the model takes one text, and the records have {len(text)} columns of text; leave one")
    return x[text[0]].to_numpy(object)
