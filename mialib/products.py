"""In what matrix products are computed while a stack trains; parameters are float32 always."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Float32:
    """Products of float32, the default."""

    dtype = torch.float32

    def affine(self, x, weights, biases):
        """Return ``x @ weights + biases``, shape (M, n, units)."""
        return torch.baddbmm(biases, x, weights)

    def multiply(self, a, b):
        """Return ``a @ b``."""
        return torch.bmm(a, b)

    def write(self, a, b, out):
        """Write ``a @ b`` into `out`."""
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
        return torch.bmm(a.bfloat16(), b.bfloat16()).float()

    def write(self, a, b, out):
        """Write ``a @ b`` into `out`."""
        out.copy_(torch.bmm(a.bfloat16(), b.bfloat16()))
