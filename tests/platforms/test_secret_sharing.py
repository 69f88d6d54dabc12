import numpy as np
import pytest

from mialib.attack.answers import query
from mialib.attack.experiment import Experiment, run
from mialib.models.stack import NN
from mialib.models.training import Recipe
from mialib.platforms.secret_sharing import FRACTION, SecretShared, from_fixed, product, split_in_two, to_fixed


def test_fixed_point_is_exact_to_half_a_bit(rng):
    values = rng.normal(scale=100, size=1000)
    assert np.abs(from_fixed(to_fixed(values)) - values).max() <= 2.0 ** -(FRACTION + 1)
    np.testing.assert_array_equal(from_fixed(to_fixed([-1.5, 0, 2.25])), [-1.5, 0, 2.25])


def test_shares_sum_to_the_secret_and_one_alone_says_nothing():
    secrets = to_fixed([-3.0, 0.0, 1e4])
    first, second = split_in_two(secrets, np.random.default_rng(1))
    np.testing.assert_array_equal(first + second, secrets)
    same, _ = split_in_two(to_fixed([7.0, 7.0, 7.0]), np.random.default_rng(1))
    np.testing.assert_array_equal(same, first)  # whatever the secret
    of_zero = split_in_two(np.zeros(20_000, np.uint64), np.random.default_rng(1))
    for share in of_zero:
        assert abs(np.mean(share >= 2**63) - 0.5) < 0.02


def test_a_product_of_shares_is_the_product(rng):
    x, w = (rng.integers(-1000, 1000, shape) for shape in ((5, 4), (4, 3)))
    shares = [split_in_two(values.view(np.uint64), rng) for values in (x, w)]
    first, second = product(*shares, rng)
    np.testing.assert_array_equal((first + second).view(np.int64), x @ w)
    assert not np.any(first == (x @ w).view(np.uint64))


def test_the_client_gets_the_same_vector_and_so_does_the_attack(data):
    experiment = Experiment(100, 4, Recipe(NN((32,)), epochs=60, batch_size=20), seed=3)
    result = run(experiment, data)
    shared = SecretShared(result.models().models(slice(0, 1)), seed=5)
    seen = query(shared, data, result.split.target_in[None], result.split.target_out[None])
    np.testing.assert_allclose(seen.vectors, result.target.vectors, atol=1e-4)
    assert not np.array_equal(seen.vectors, result.target.vectors)
    hidden = result.against(seen)
    np.testing.assert_allclose(hidden.inference.score, result.inference.score, atol=1e-2)


def test_any_of_several_models_and_records(data, tmp_path):
    experiment = Experiment(100, 2, Recipe(NN((16, 8)), epochs=5, batch_size=20), seed=3)
    stack = run(experiment, data).models()
    shared = SecretShared(stack)
    np.testing.assert_allclose(shared.predict_proba(data.x[:30]), stack.predict_proba(data.x[:30]), atol=1e-4)
    index = np.arange(12).reshape(3, 4)
    np.testing.assert_allclose(shared.predict_proba(data.x, index), stack.predict_proba(data.x, index), atol=1e-4)
    one = shared.models(slice(2, 3)).predict_proba(data.x[:30])
    np.testing.assert_allclose(one[0], stack.predict_proba(data.x[:30])[2], atol=1e-4)


def test_softmax_regression_has_no_layer_before_the_last(data):
    stack = NN(()).stack(1, data.x.shape[1:], 4)
    with pytest.raises(ValueError, match="no hidden layer"):
        SecretShared(stack).predict_proba(data.x)
