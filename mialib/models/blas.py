"""Which library multiplies two matrices: the fastest that the machine has; they round otherwise in the last bits."""

import torch

from mialib.base.machine import is_intel

LARGE = 2_000_000
"""Multiplications in one model's product from which oneDNN is asked for it, model by model."""


def onednn_takes(a, b):
    """Return whether oneDNN computes ``a @ b`` faster than torch's own batched product; autograd cannot follow it.

    Torch's own products call MKL, which leaves out AVX-512 where the processor is not Intel's: there oneDNN takes half
    the time (258 against 117 GFLOP/s on a core, 2048^3). On Intel's, MKL is the faster (179 against 135 GFLOP/s,
    100 x 600 x 128).
    """
    return (
        a.device.type == "cpu"
        and not torch.is_grad_enabled()
        and a.shape[1] * a.shape[2] * b.shape[2] >= LARGE
        and not is_intel()
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def onednn(a, b, bias=None):
    """Return ``a @ b + bias`` of matrices, by oneDNN."""
    return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")
