"""Dropout in a stack: which hidden units sit out an update, drawn for each model from its own seed."""

import numpy as np
import torch

from mialib.products import aligned


class Dropout:
    """Leaves out hidden units at random while a stack trains, and scales the others up.

    Parameters
    ----------
    share : float
        Probability that a unit is left out of an update.
    generators : list of M numpy Generator
        One a model, so that no number depends on which models train together.
    """

    def __init__(self, share, generators):
        self._share, self._generators = share, generators
        self._kept = []

    def forward(self, hidden):
        """Return a layer's activations, shape (M, n, units), 0 where a unit sits out."""
        shape = hidden.shape[1:]
        kept = np.stack([rng.random(shape, np.float32) >= self._share for rng in self._generators])
        kept = torch.from_numpy(kept).to(hidden.device)
        self._kept.append(kept)
        return aligned((hidden * kept).mul_(1 / (1 - self._share)))

    def backward_(self, gradient):
        """Turn the gradient for what `forward` last returned into that for what it took; layers come in reverse."""
        return gradient.mul_(self._kept.pop()).mul_(1 / (1 - self._share))


class NoDropout:
    """Keeps every unit."""

    def forward(self, hidden):
        """Return `hidden`."""
        return hidden

    def backward_(self, gradient):
        """Return `gradient`."""
        return gradient


def check_dropout(share):
    """Raise a ValueError if the share of units that sit out is not at least 0 and below 1."""
    if not 0 <= share < 1:
        raise ValueError(f"dropout is {share}; it must be at least 0 and below 1")
