"""Model inversion: what a model holds to be typical of a class (Fredrikson et al. 2015; §IX, Fig. 13)."""

from dataclasses import dataclass

import numpy as np
import torch

from mialib.base.machine import one_thread
from mialib.base.validate import check_integer
from mialib.models.batches import DenseBatch


@dataclass(frozen=True)
class Flat:
    """Start from an image of one grey value, 0 to 1; black, the default, is the method's own."""

    level: float = 0.0

    def draw(self, shape, seed):
        """Return the start, an ndarray of float32 of a shape."""
        return np.full(shape, self.level, np.float32)


@dataclass(frozen=True)
class Noise:
    """Start from noise, every pixel uniform between black and white."""

    def draw(self, shape, seed):
        """Return the start, an ndarray of float32 of a shape."""
        return np.random.default_rng(seed).random(shape, np.float32)


@dataclass(frozen=True)
class Inversion:
    """Gradient descent on the input, with the parameters of Fredrikson et al. (Algorithm 1, MI-FACE).

    The cost is one minus the probability of the class. After each step pixels are cut off at black and white, so that
    what comes out is an image; the original leaves this step open.

    Parameters
    ----------
    start : Flat or Noise
    max_steps : int
        Steps at most, α in the original.
    patience : int
        Stop when the cost is no less than the largest of so many steps before, β.
    confidence : float
        Stop when the probability of the class reaches this, γ.
    learning_rate : float
        What the gradient is multiplied by in a step, λ.

    Raises
    ------
    ValueError
        If a count is not whole or too small, or another number is out of range.
    """

    start: Flat | Noise = Flat()
    max_steps: int = 5000
    patience: int = 100
    confidence: float = 0.99
    learning_rate: float = 0.1

    def __post_init__(self):
        check_integer("max_steps", self.max_steps, 0)
        check_integer("patience", self.patience, 1)
        if not 0 < self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence}; it must be above 0 and at most 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be positive")


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """What inversion made of every class of M models.

    The image of least cost of all steps (float32, 0 to 1, shape (M, classes, ...)); the probability that the model
    gives to its class, and the steps until the method stopped, both of shape (M, classes).
    """

    images: np.ndarray
    probability: np.ndarray
    steps: np.ndarray


def invert(method, stack, shape, seed=0):
    """Reconstruct every class of every model of a stack, all together; return `Reconstructions`.

    Each comes out as if it had been made alone: none sees another's gradient, and each stops by itself. `shape` is that
    of a record; `seed`, an int or SeedSequence, decides a start of noise.
    """
    followed, every = stack.followed(), (stack.n_models, stack.n_classes)
    x = torch.from_numpy(method.start.draw((*every, *shape), seed)).to(stack.device).flatten(2)
    best, least = x.clone(), torch.full(every, torch.inf, device=stack.device)
    window = torch.full((method.patience, *every), torch.inf, device=stack.device)
    running, steps = torch.ones_like(least, dtype=torch.bool), torch.zeros_like(least, dtype=torch.int64)
    with one_thread():
        for step in range(method.max_steps + 1):
            x.requires_grad_()
            cost = 1 - torch.softmax(followed.logits(DenseBatch(x)), dim=2).diagonal(dim1=1, dim2=2)
            (gradient,) = torch.autograd.grad(cost.sum(), x)
            x, cost = x.detach(), cost.detach()
            better = running & (cost < least)
            best, least = torch.where(better[..., None], x, best), torch.where(better, cost, least)
            running &= (cost < window.amax(dim=0)) & (cost > 1 - method.confidence)
            window[step % method.patience] = cost
            if step == method.max_steps or not running.any():
                break
            steps += running
            x = torch.where(running[..., None], x - method.learning_rate * gradient, x).clamp(0, 1)
    images = best.view(*every, *shape).cpu().numpy()
    return Reconstructions(images, (1 - least).cpu().numpy(), steps.cpu().numpy())
