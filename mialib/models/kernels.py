"""In what matrix products are computed while a stack trains; parameters are float32 always."""

import math
from dataclasses import dataclass

import torch

from mialib.base.machine import multiplies_bfloat16
from mialib.models.blas import onednn, onednn_takes

WHOLE = 32
"""Numbers of float32 that torch works on at once; what is left over is rounded otherwise."""


def aligned_empty(like, *shape):
    """Return a Tensor of shape (M, ...) like another, to be filled, each model's part filled up to whole cache lines.

    What the last bits of a product or a sigmoid are depends on where its operands lie; so placed, a model's are the
    same wherever in a stack it stands.
    """
    n_models, *rest = shape
    size = math.prod(rest)
    whole = -(-size // WHOLE) * WHOLE
    part = like.new_empty(n_models, whole)[:, :size].view(shape)
    return part.as_strided(shape, (whole, *part.stride()[1:]))  # a view of one model forgets the first stride


def aligned(values):
    """Return values of shape (M, ...), moved to where `aligned_empty` would put them if need be."""
    if torch.is_grad_enabled() or values[0].numel() % WHOLE == 0:
        return values
    return aligned_empty(values, *values.shape).copy_(values)


def filled_up(values):
    """Return all numbers of values of `aligned_empty`, with what fills them up: a 1-D view."""
    return values.as_strided((len(values) * values.stride(0),), (1,))


@dataclass(frozen=True)
class Float32:
    """Products of float32."""

    dtype = torch.float32

    def affine(self, x, weights, biases):
        """Return ``x @ weights + biases``, shape (M, n, units)."""
        if onednn_takes(x, weights):
            return aligned(torch.stack([onednn(*of_model) for of_model in zip(x, weights, biases[:, 0], strict=True)]))
        if torch.is_grad_enabled():
            return torch.baddbmm(biases, x, weights)
        return torch.baddbmm(biases, x, weights, out=aligned_empty(x, len(x), x.shape[1], weights.shape[2]))

    def multiply(self, a, b):
        """Return ``a @ b``."""
        if onednn_takes(a, b):
            return aligned(torch.stack([onednn(*of_model) for of_model in zip(a, b, strict=True)]))
        return torch.bmm(a, b, out=aligned_empty(a, len(a), a.shape[1], b.shape[2]))

    def write(self, a, b, out):
        """Write ``a @ b`` into `out`."""
        if onednn_takes(a, b):
            for *of_model, out_of_model in zip(a, b, out, strict=True):
                out_of_model.copy_(onednn(*of_model))
        else:
            torch.bmm(a, b, out=out)


@dataclass(frozen=True)
class BFloat16:
    """Products of numbers rounded to bfloat16, 8 significant bits.

    Faster where the processor has instructions for it, and slower elsewhere. What it does to
    accuracy and attack is in ``benchmarks/README.md``.
    """

    dtype = torch.bfloat16

    def affine(self, x, weights, biases):
        """Return ``x @ weights + biases``, shape (M, n, units)."""
        return self.multiply(x, weights).add_(biases)

    def multiply(self, a, b):
        """Return ``a @ b``."""
        return aligned(torch.bmm(a.bfloat16(), b.bfloat16()).float())

    def write(self, a, b, out):
        """Write ``a @ b`` into `out`."""
        out.copy_(torch.bmm(a.bfloat16(), b.bfloat16()))


def fastest_products():
    """Return `BFloat16` where the processor multiplies it, and `Float32` elsewhere."""
    return BFloat16() if multiplies_bfloat16() else Float32()
