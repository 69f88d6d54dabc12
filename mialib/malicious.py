"""Train a stack with a term more in the loss: what a malicious trainer adds to the training code."""

import numpy as np
import torch

from mialib.encodings import fits
from mialib.seeding import children
from mialib.threads import one_thread
from mialib.training import _Shuffled, default_device


def parameters_of(stack):
    """Return the parameters of each model of a stack, without what only fills up its buffer, shape (M, P)."""
    n = sum(weights[0].numel() + biases[0].numel() for weights, biases in stack.layers(stack.parameters))
    return stack.parameters[:, :n].cpu().numpy()


def fit_hiding(recipe, data, index, seeds, term, secrets, device=None):
    """Train a stack as `mialib.training.fit_stack` does, with a term more in the loss.

    Parameters
    ----------
    recipe : Recipe
    data : Dataset
    index : ndarray of int, shape (M, n)
        The records of each model.
    seeds : sequence of M SeedSequence
    term : callable
        Of the first parameters of each model and of its secret, Tensors of shape (M, s).
    secrets : ndarray, shape (M, s)
        What each model hides, one value or bit a parameter.
    device : torch.device, optional

    Returns
    -------
    DenseStack or ConvStack

    Raises
    ------
    ValueError
        If there are more values than parameters.
    FloatingPointError
        If a parameter is no longer finite at the end.
    """
    device = device or default_device()
    stack = recipe.architecture.stack(len(index), data.x.shape[1:], data.n_classes, device)
    n = secrets.shape[1]
    fits(n, parameters_of(stack).shape[1], "parameters")
    streams = [[np.random.default_rng(s) for s in children(seed, 2)] for seed in seeds]
    stack.initialise([first for first, _ in streams])
    shuffled = [_Shuffled(rows, order) for rows, (_, order) in zip(index, streams, strict=True)]
    records, secrets = stack.records(data.x), torch.from_numpy(secrets.astype(np.float32)).to(device)
    parameters, gradient = stack.parameters, torch.zeros_like(stack.parameters)
    gradients = stack.layers(gradient)
    parameters.grad = gradient
    adam = torch.optim.Adam([parameters], recipe.learning_rate, fused=True)
    with one_thread():
        for step in range(recipe.length.steps(index.shape[1], recipe.batch_size)):
            rows = np.stack([s.take(recipe.batch_size) for s in shuffled])
            (batch,) = records.batches(rows[None])
            with torch.no_grad():
                stack.write_gradient(batch, torch.from_numpy(data.y[rows][..., None]).to(device), gradients)
            used = parameters[:, :n].detach().requires_grad_()
            gradient[:, :n] += torch.autograd.grad(term(used, secrets), used)[0]
            adam.param_groups[0]["lr"] = recipe.learning_rate / (1 + step * recipe.decay)
            adam.step()
    parameters.grad = None
    if not torch.isfinite(parameters).all():
        raise FloatingPointError(f"training diverged; try a learning_rate below {recipe.learning_rate}")
    return stack
