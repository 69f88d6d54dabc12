import numpy as np
import pytest

from mialib.attack.answers import Answers
from mialib.attack.experiment import Experiment, run
from mialib.datasets.dataset import Dataset, Provenance, array_sha256
from mialib.metrics import roc_auc
from mialib.models.stack import NN
from mialib.models.training import Recipe
from mialib.related import covert
from mialib.related.hiding import CorrelatedValues, Hidden, LowBits


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    rng = np.random.default_rng(5)
    y = rng.integers(0, 3, 240)
    x = (rng.random((240, 6, 6)) + 0.4 * (np.arange(6) % 3 == y[:, None])[..., None]).clip(0, 1).astype(np.float32)
    data = Dataset(x, y, 3, Provenance("toy", "stand-in", "generated", "none", array_sha256(x, y)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIALIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        return run(Experiment(60, 5, Recipe(NN((48,)), epochs=80, batch_size=10)), data)


def test_low_bits_in_an_attacks_target(result):
    found = covert.plant(LowBits(n_low=8), result)
    numbers = found.numbers()
    assert numbers["images hidden"] == (37 * 48 + 49 * 3) * 8 // (36 * 8)
    assert numbers["share of the hidden images recovered"] == numbers["bits read correctly"] == 1
    assert numbers["share of the corpus recovered"] == numbers["images hidden"] / 60
    assert numbers["mean absolute pixel error, of 255"] < 0.5
    assert numbers["the same, of guessing the mean image"] > 20
    assert numbers["test accuracy lost"] == pytest.approx(0, abs=0.02)
    assert found.bits_per_record == pytest.approx(numbers["images hidden"] * 36 * 8 / 60)
    np.testing.assert_allclose(found.answers.vectors, result.target.vectors, atol=0.01)


def test_values_are_not_bits(result):
    found = covert.plant(CorrelatedValues(), result)
    assert "bits read correctly" not in found.numbers()
    assert np.isnan(found.bits_per_record)


def test_membership_of_the_honest_target_is_that_of_its_attack(result):
    flat = Answers(result.target.labels, np.full_like(result.target.vectors, 1 / 3), result.target.member)
    leaks = covert.membership_leaks(result, {"honest target": result.target, "flat": flat})
    assert leaks["honest target"]["AUC of the shadow attack"] == pytest.approx(result.inference.auc)
    gap = result.target.train_accuracy - result.target.test_accuracy
    assert leaks["honest target"]["train accuracy minus test accuracy"] == gap
    assert leaks["honest target"]["AUC of the probability of the true class"] > 0.6
    assert leaks["flat"]["AUC of the probability of the true class"] == 0.5


def test_channels_side_by_side(result):
    found = covert.plant(LowBits(), result)
    rows = covert.channels({"low bits": found}, covert.membership_leaks(result, {"honest target": result.target}))
    side, channel = rows["side channel: membership"], rows["covert channel: low bits"]
    assert 0 < side["bits per training record"] < 1 < 200 < channel["bits per training record"]
    assert side["share of the corpus recovered"] == 0
    assert channel["share of the corpus recovered"] == found.hidden.recovered
    assert channel["needs"] == LowBits.needs


def test_either_channel_of_one_target(result):
    found, low_bits = covert.side_and_covert(result, LowBits(n_low=8)), covert.plant(LowBits(n_low=8), result)
    assert (found["epochs"], found["shadow AUC"]) == (80, result.inference.auc)
    assert found["share of the corpus in low bits"] == low_bits.hidden.recovered > 0
    assert found["test accuracy lost to low bits"] == found["test accuracy"] - low_bits.answers.test_accuracy


def test_half_the_bits_right_tell_nothing(result):
    true = np.zeros((2, 1, 2), np.float32)
    hidden = Hidden(None, true, np.array([[[1, 0]], [[0, 1]]], np.float32), true[0], 4)
    assert covert.Covert(LowBits(depth=1), hidden, result.target, result.target).bits_per_record == 0


def test_information_is_of_one_bit():
    assert [covert.information(p) for p in (0.5, 1.0, 0.0)] == [0, 1, 1]
    assert covert.information(0.11) == pytest.approx(0.5, abs=1e-3)


def test_the_true_class_auc_by_hand(result):
    of = result.target
    leaks = covert.membership_leaks(result, {"honest target": of})["honest target"]
    by_hand = roc_auc(of.member, of.vectors[np.arange(len(of.labels)), of.labels])
    assert leaks["AUC of the probability of the true class"] == by_hand
