from dataclasses import replace

import numpy as np
import pytest

from mialib.attack.experiment import Experiment, run
from mialib.datasets.dataset import Dataset, Provenance, array_sha256
from mialib.datasets.features import pixels
from mialib.models.cache import ModelCache
from mialib.models.cnn import CNN
from mialib.models.training import Recipe
from mialib.related import reconstructions
from mialib.related.inversion import Flat, Inversion, Reconstructions, invert
from mialib.related.reconstructions import distances, inversion_numbers, invert_target

SHAPE = (8, 8)


@pytest.fixture(scope="module")
def inverted(squares, tmp_path_factory):
    x, y = (part[np.argsort(squares[1])] for part in squares)  # by class, as the MNIST sample is
    data = Dataset(x, y, 3, Provenance("toy", "stand-in", "generated", "none", array_sha256(x, y)))
    recipe = Recipe(CNN(((4, 3),), (8,)), epochs=15, batch_size=20, learning_rate=0.01)
    cache = ModelCache(tmp_path_factory.mktemp("models"))
    result = run(Experiment(70, 3, recipe), data, cache=cache)
    methods = {"black": Inversion(learning_rate=1), "grey": Inversion(Flat(0.5), max_steps=0)}
    return invert_target(result, methods, cache=cache)


def test_the_target_is_inverted_and_the_models_are_those_of_the_attack(inverted):
    target = inverted.stack.models(slice(0, 1))
    vectors = target.predict_proba(inverted.result.data.x, inverted.result.split.target_in[None])[0]
    np.testing.assert_array_equal(vectors, inverted.result.target.vectors[:70])
    np.testing.assert_array_equal(inverted.images["black"], invert(Inversion(learning_rate=1), target, SHAPE).images[0])
    reached = inverted.reached(0.9)
    assert reached["from black"]["classes that reach the confidence"] == 1
    assert reached["from black"]["put into their class by shadow models"] > 0.9
    assert reached["from grey"]["median steps"] == 0
    assert reached["from grey"]["put into their class by shadow models"] == pytest.approx(1 / 3)


def test_no_picture_is_a_record(inverted):
    records = pixels(inverted.result.data.x)
    rows = inverted.pictures()
    assert list(rows) == ["class mean", "from black", "from black, stretched", "from grey", "from grey, stretched"]
    for images in rows.values():
        assert images.shape == (3, *SHAPE)
        assert distances(images, records).min() > 0.01
    stretched = rows["from black, stretched"]
    np.testing.assert_allclose(stretched.min(axis=(1, 2)), 0)
    np.testing.assert_allclose(stretched.max(axis=(1, 2)), 1)
    np.testing.assert_array_equal(rows["from grey, stretched"], 0.5)


def test_nearest_records_are_of_their_side_and_class(inverted):
    split, data = inverted.result.split, inverted.result.data
    for name, rows in (("nearest training image", split.target_in), ("nearest unseen image", split.target_out)):
        for c, image in enumerate(inverted.nearest("black")[name]):
            of_class = pixels(data.x[rows[data.y[rows] == c]])
            assert distances(image[None], of_class).min() == pytest.approx(0, abs=1e-6)
            from_start = distances(inverted.images["black"][c : c + 1], of_class)
            own = distances(inverted.images["black"][c : c + 1], image[None]).item()
            assert own == pytest.approx(from_start.min())


def test_the_numbers_of_an_inverted_target(inverted):
    closeness, aucs = inverted.closeness("black", 30), inverted.membership_aucs()
    assert closeness["a class mean"]["distance to the class mean"] == pytest.approx(0, abs=1e-6)
    assert closeness["a class mean"]["correlation with the class mean, in features"] <= 1
    assert closeness["plain grey"]["correlation with the class mean"] == 0
    assert closeness["a reconstruction"]["nearest mean is its own"] == 1
    numbers = inversion_numbers(closeness, aucs, "black")
    near, far = (numbers[f"a reconstruction, distance to the nearest {of} record"] for of in ("training", "held-out"))
    assert numbers["nearest training image nearer by"] == pytest.approx((far - near) / far)
    assert numbers["shadow AUC"] == inverted.result.inference.auc
    assert 0.35 < numbers["inversion AUC"] < 0.65
    assert set(aucs) == {"shadow AUC"} | {
        f"inversion AUC from {s}{v}" for s in ("black", "grey") for v in ("", ", in features")
    }


def test_the_images_to_compare_with_are_of_every_class(inverted, monkeypatch):
    of_kind, closeness = [], reconstructions.closeness
    monkeypatch.setattr(
        reconstructions,
        "closeness",
        lambda *given: of_kind.append(np.bincount(given[1], minlength=3)) or closeness(*given),
    )
    inverted.closeness("black", 30)
    assert (min(of_kind[2]), sum(of_kind[2])) >= (4, 30)  # the first 30 of the pool are of one class


def test_the_inversion_auc_is_high_where_members_are_nearer(inverted):
    """Notices a wrong sign: the members here are the records nearest to the reconstruction of their class."""
    parts, data = inverted.result.split, inverted.result.data
    own = np.concatenate([parts.target_in, parts.target_out])
    far = reconstructions.distance_to_class(inverted.images["black"], pixels(data.x[own]), data.y[own])
    near, others = np.split(own[np.argsort(far)], 2)
    told = replace(inverted, result=replace(inverted.result, split=replace(parts, target_in=near, target_out=others)))
    assert told.membership_aucs()["inversion AUC from black"] == 1
    assert told.membership_aucs()["inversion AUC from black, in features"] > 0.5


def test_features_are_of_a_model_that_has_not_seen_the_targets_records(inverted):
    """Notices the fault of features of the target itself: with other parameters it would change them."""
    parameters = inverted.stack.parameters.clone()
    parameters[0] = 0
    blank, x = replace(inverted, stack=inverted.stack.with_parameters(parameters)), pixels(inverted.result.data.x[:9])
    np.testing.assert_array_equal(blank.features(x), inverted.features(x))
    assert inverted.features(x).std() > 0


def test_distance_to_a_copy_tells_the_member(inverted):
    """A reconstruction that is a member of each class gives that member away."""
    split, data = inverted.result.split, inverted.result.data
    rows = split.target_in
    copies = np.stack([pixels(data.x)[rows[data.y[rows] == c][0]] for c in range(3)])
    made = Reconstructions(copies[None], np.ones((1, 3)), np.zeros((1, 3), int))
    told = replace(inverted, made={"copied": made})
    assert told.closeness("copied", 30)["a reconstruction"]["distance to the nearest training record"] == 0
    assert told.closeness("copied", 30)["a reconstruction"]["nearest record is a training record"] == 1
