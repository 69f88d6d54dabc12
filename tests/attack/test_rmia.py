import numpy as np
import pytest

from mialib import metrics
from mialib.attack import rmia


def by_the_paper(observed, probability, in_, population, gamma, offline):
    """RMIA as written, record by record and pair by pair (Zarifzadeh et al. 2024, Eq. 3 to 5 and Appendix)."""

    def relative(record):
        known = [probability[m, record] for m in range(len(in_)) if in_[m, record]]
        unknown = [probability[m, record] for m in range(len(in_)) if not in_[m, record]]
        if known:
            general = 0.5 * (sum(known) / len(known) + sum(unknown) / len(unknown))
        else:
            general = 0.5 * ((1 + offline) * sum(unknown) / len(unknown) + (1 - offline))
        return observed[record] / general

    return [np.mean([relative(x) / relative(z) >= gamma for z in population]) for x in range(len(observed))]


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("gamma", [1.0, 1.7])
def test_it_is_what_the_paper_writes(rng, online, gamma):
    observed, probability = rng.random(30), rng.random((6, 30))
    in_ = np.array([[i % 2 == m % 2 for i in range(30)] for m in range(6)]) & online
    population = np.arange(10, 30)
    found = rmia.score(observed, probability, in_, population, gamma, offline=0.3)
    np.testing.assert_allclose(found, by_the_paper(observed, probability, in_, population, gamma, 0.3), atol=1e-12)


def test_a_record_that_every_shadow_model_knows_is_not_judged(rng):
    in_ = np.array([[True, False], [True, True]])
    found = rmia.score(rng.random(2), rng.random((2, 2)), in_)
    assert np.isnan(found).tolist() == [True, False]


def test_a_hard_record_that_the_target_knows_is_found_and_an_easy_one_is_not(rng):
    """The loss ranks the easy non-members above the hard members; the ratio does not."""
    hard = np.arange(200) % 2 == 0
    member = np.arange(200) < 100
    general = np.where(hard, 0.3, 0.95)
    observed = np.clip(general + 0.3 * (member & hard) + rng.normal(0, 0.01, 200), 0, 1)
    probability = np.clip(general + rng.normal(0, 0.01, (8, 200)), 0, 1)
    found = rmia.score(observed, probability, np.zeros((8, 200), bool))
    assert metrics.tpr_at_fpr(member, found, 0.01) > 0.45
    assert metrics.tpr_at_fpr(member, observed, 0.01) < 0.1
