"""Answers by secure two-party computation, of the last layer, to show that it changes none of them (§IX).

Two servers hold additive shares, modulo 2^64, of a model's last layer and of what the layers
before it make of a record. Neither sees weights, features or answer; the client, who puts the two
results together, gets the prediction vector all the same. Shares come from numpy's generators: a
demonstration, not a protocol to deploy.
"""

from dataclasses import dataclass

import numpy as np

from mialib.base.seeding import child
from mialib.models.stack import Stack

FRACTION = 16
"""Bits behind the point of a number that is shared; of a product twice as many."""


def to_fixed(values, bits=FRACTION):
    """Return numbers as fixed-point ones modulo 2^64 (ndarray of uint64)."""
    return np.rint(np.asarray(values, np.float64) * 2.0**bits).astype(np.int64).view(np.uint64)


def from_fixed(values, bits=FRACTION):
    """Return the numbers that fixed-point ones stand for (ndarray of float64)."""
    return values.view(np.int64) / 2.0**bits


def split_in_two(secret, rng):
    """Return two shares of an ndarray of uint64 that sum to it modulo 2^64; each by itself is uniform."""
    mask = rng.integers(0, 2**64, secret.shape, np.uint64)
    return mask, secret - mask


def product(x, w, rng):
    """Return two shares of a matrix product from shares of its factors, by Beaver's triple (1991), modulo 2^64.

    A third party deals shares of random a, b and a @ b. The servers tell each other x - a and w - b, which are uniform,
    and each works out its share of the product from them.
    """
    a, b = (rng.integers(0, 2**64, shares[0].shape, np.uint64) for shares in (x, w))
    of_a, of_b, of_c = (split_in_two(secret, rng) for secret in (a, b, a @ b))
    d, e = (sum(s - t for s, t in zip(*pair, strict=True)) for pair in ((x, of_a), (w, of_b)))
    first, second = (c + d @ b_ + a_ @ e for a_, b_, c in zip(of_a, of_b, of_c, strict=True))
    return first + d @ e, second


@dataclass(frozen=True, eq=False)
class SecretShared:
    """Models that two servers answer for, neither of which has them.

    Parameters
    ----------
    stack : Stack
        With a hidden layer.
    seed : int or SeedSequence
        Of the shares; no answer depends on it.
    """

    stack: Stack
    seed: int = 0

    def predict_proba(self, x, index=None):
        """Return the prediction vectors that the client puts together."""
        weights, biases = (t.cpu().numpy() for t in self.stack.layers(self.stack.parameters)[-1])
        answers = []
        for m in range(self.stack.n_models):
            asked = x if index is None else x[index[m]]
            features = self.stack.models(slice(m, m + 1)).features(asked)[0]
            rng = np.random.default_rng(child(self.seed, m))
            answers.append(_softmax(_shared_logits(features, weights[m], biases[m], rng)))
        return np.stack(answers).astype(np.float32)

    def models(self, which):
        """Return some of the models, a slice."""
        return SecretShared(self.stack.models(which), self.seed)


def _shared_logits(features, weights, biases, rng):
    x, w = (split_in_two(to_fixed(values), rng) for values in (features, weights))
    of_biases = split_in_two(to_fixed(biases, 2 * FRACTION), rng)
    first, second = (p + b for p, b in zip(product(x, w, rng), of_biases, strict=True))
    return from_fixed(first + second, 2 * FRACTION)


def _softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
