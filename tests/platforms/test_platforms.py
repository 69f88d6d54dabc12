from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mialib.attack.experiment import Experiment, query_target, run
from mialib.base.seeding import children
from mialib.datasets.dataset import Dataset
from mialib.models.cache import ModelCache
from mialib.models.stack import NN
from mialib.models.training import SGD, Recipe, fit_stack
from mialib.platforms import estimators
from mialib.platforms.closed import AMAZON_DEFAULT, AMAZON_LONG, GOOGLE_LIKE, AmazonLike, BlackBox, QuantileBins, forest
from mialib.platforms.estimators import Classifier

FOREST = Classifier(RandomForestClassifier(20))
PLATFORMS = {
    "amazon": AMAZON_DEFAULT,
    "forest": FOREST,
    "box": BlackBox("box", Recipe(NN((32,)), epochs=60, batch_size=20)),
}


@pytest.fixture
def numeric(data, rng):
    """240 records of 3 numbers, on which the classes depend."""
    x = rng.normal(size=(240, 3)).astype(np.float32)
    return Dataset(x, (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0.5), 3, data.provenance)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_sgd_is_the_textbook_update(data):
    """Two steps by hand: gradient of the mean cross-entropy, then the penalty's."""
    recipe = Recipe(NN(()), steps=2, batch_size=600, learning_rate=0.5, decay=0, optimiser=SGD(l2=0.1))
    rows = [np.arange(600)]
    start, end = (fit_stack(replace(recipe, steps=n), data.x, data.y, 4, rows, children(1, 1)) for n in (0, 2))
    w, b = (t[0].numpy().astype(np.float64) for t in start.layers(start.parameters)[0])
    one_hot = np.eye(4)[data.y]
    for _ in range(2):
        delta = (softmax(data.x @ w + b) - one_hot) / 600
        w, b = w - 0.5 * (data.x.T @ delta + 0.1 * w), b - 0.5 * (delta.sum(axis=0) + 0.1 * b)
    found_w, found_b = (t[0].numpy() for t in end.layers(end.parameters)[0])
    np.testing.assert_allclose(found_w, w, atol=1e-5)
    np.testing.assert_allclose(found_b, b, atol=1e-5)


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_platform_trains_models_that_stand_alone(data, name, tmp_path):
    """Each model is as if it had been trained alone, learns its records, and is as its seed decides."""
    platform = PLATFORMS[name]
    index, seeds = np.arange(450).reshape(3, 150), children(4, 3)
    models = platform.train(data, index, seeds)
    vectors = models.predict_proba(data.x, index)
    assert (vectors.shape, vectors.dtype) == ((3, 150, 4), np.float32)
    np.testing.assert_allclose(vectors.sum(axis=2), 1, atol=1e-5)
    assert np.mean(vectors.argmax(axis=2) == data.y[index]) > 0.8
    alone = platform.train(data, index[1:2], seeds[1:2], ModelCache(tmp_path))
    np.testing.assert_allclose(alone.predict_proba(data.x, index[1:2])[0], vectors[1], atol=1e-6)
    np.testing.assert_allclose(models.models(slice(1, 3)).predict_proba(data.x, index[1:]), vectors[1:], atol=1e-6)
    everything = models.predict_proba(data.x)
    np.testing.assert_allclose(everything[1, 150:300], vectors[1], atol=1e-6)
    other = platform.train(data, index[:1], children(5, 1)).predict_proba(data.x, index[:1])
    assert not np.allclose(other[0], vectors[0], atol=1e-6)


def test_an_experiment_takes_a_platform(data):
    forest = Experiment(100, 4, FOREST, seed=3)
    result = run(forest, data)
    assert result.target.train_accuracy == 1
    assert result.inference.auc > 0.8
    np.testing.assert_array_equal(query_target(forest, data).vectors, result.target.vectors)
    np.testing.assert_array_equal(
        run(forest, data, cache=ModelCache(), n_jobs=1).inference.score, result.inference.score
    )


def test_answers_are_kept_and_found_again(data, tmp_path, monkeypatch):
    cache, index, seeds = ModelCache(tmp_path), np.arange(300).reshape(2, 150), children(4, 2)
    first = FOREST.train(data, index, seeds, cache).predict_proba(data.x, index)
    assert cache.size()[0] == 2
    monkeypatch.setattr(RandomForestClassifier, "fit", None)
    again = Classifier(RandomForestClassifier(20)).train(data, index, seeds, cache)
    np.testing.assert_array_equal(again.predict_proba(data.x, index), first)


@pytest.mark.parametrize("changed", ["settings", "seed", "training records", "records", "rows", "version"])
def test_nothing_is_found_that_was_asked_otherwise(data, tmp_path, monkeypatch, changed):
    cache, index, seeds = ModelCache(tmp_path), np.arange(150)[None], children(4, 1)
    FOREST.train(data, index, seeds, cache).predict_proba(data.x, index)
    platform, rows, x = FOREST, index, data.x
    if changed == "settings":
        platform = Classifier(RandomForestClassifier(21))
    elif changed == "seed":
        seeds = children(5, 1)
    elif changed == "training records":
        index = index + 1
    elif changed == "records":
        x = 1 - data.x
    elif changed == "rows":
        rows = index + 1
    else:
        monkeypatch.setattr(estimators, "version", lambda name: "0.0")
    platform.train(data, index, seeds, cache).predict_proba(x, rows)
    assert cache.size()[0] == 2


def test_a_target_is_fitted_once_however_often_it_is_asked(data, monkeypatch):
    fitted, fit = [], estimators._fit
    monkeypatch.setattr(estimators, "_fit", lambda *arguments: fitted.append(1) or fit(*arguments))
    target = FOREST.train(data, np.arange(150)[None], children(4, 1))
    for rows in np.arange(30).reshape(3, 1, 10):
        target.predict_proba(data.x, rows)
    assert len(fitted) == 1


def test_a_pipeline_is_a_platform_and_a_class_without_records_has_probability_zero(numeric):
    platform = Classifier(make_pipeline(StandardScaler(), LogisticRegression(random_state=0)))
    index = np.flatnonzero(numeric.y != 1)[:60].reshape(1, -1)
    vectors = platform.train(numeric, index, children(1, 1)).predict_proba(numeric.x)
    assert vectors.shape == (1, 240, 3)
    assert (vectors[0, :, 1] == 0).all()
    np.testing.assert_allclose(vectors.sum(axis=2), 1, atol=1e-6)


def test_a_classifier_without_prediction_vectors_is_refused():
    with pytest.raises(TypeError, match="has no predict_proba; a platform needs a classifier"):
        Classifier(RidgeClassifier())


def test_quantile_bins():
    x = np.arange(100, dtype=np.float32)[:, None]
    bins = QuantileBins.from_records(x)
    np.testing.assert_array_equal(bins(x).sum(axis=0), [9] + [10] * 8 + [11])
    np.testing.assert_array_equal(bins(np.array([[-5.0], [1000.0]])).argmax(axis=1), [0, 9])
    constant = QuantileBins.from_records(np.ones((10, 2)))
    np.testing.assert_array_equal(constant(np.ones((1, 2))).reshape(2, 10)[:, 9], [1, 1])


def test_numeric_records_are_binned_by_the_models_own(numeric, monkeypatch):
    """Bins come from the training records alone: other records do not change a model."""
    index, seeds = np.arange(160).reshape(2, 80), children(2, 2)
    models = AMAZON_DEFAULT.train(numeric, index, seeds)
    vectors = models.predict_proba(numeric.x, index)
    assert np.mean(vectors.argmax(axis=2) == numeric.y[index]) > 0.7
    moved = Dataset(np.concatenate([numeric.x[:80], 7 * numeric.x[80:]]), numeric.y, 3, numeric.provenance)
    again = AMAZON_DEFAULT.train(moved, index[:1], seeds[:1])
    np.testing.assert_array_equal(again.predict_proba(moved.x, index[:1])[0], vectors[0])
    np.testing.assert_array_equal(models.models(slice(0, 1)).predict_proba(numeric.x, index[:1])[0], vectors[0])


def test_more_passes_of_amazon_overfit_more(data):
    few, many = (run(Experiment(100, 2, platform), data).target for platform in (AMAZON_DEFAULT, AMAZON_LONG))
    assert many.train_accuracy > few.train_accuracy
    with pytest.raises(ValueError, match="max_passes is 0"):
        AmazonLike(0)
    with pytest.raises(ValueError, match="l2 is -1"):
        AmazonLike(10, -1)


def test_a_forest_of_large_leaves_knows_less_by_heart(data):
    right = []
    for leaf_size in (1, 25):
        models = forest(leaf_size).train(data, np.arange(100)[None], children(1, 1))
        right.append(np.mean(models.predict_proba(data.x[:100])[0].argmax(axis=1) == data.y[:100]))
    assert right[0] == 1
    assert right[1] < 0.95


@pytest.mark.parametrize("name", GOOGLE_LIKE)
def test_a_black_box_shows_its_answers_and_nothing_else(data, name):
    box = GOOGLE_LIKE[name]
    assert repr(box) == f"BlackBox(name='{box.name}')"
    models = box.train(data, np.arange(100)[None], children(1, 1))
    assert [part for part in dir(models) if not part.startswith("_")] == ["models", "predict_proba"]
    assert np.mean(models.predict_proba(data.x[:100])[0].argmax(axis=1) == data.y[:100]) > 0.8
