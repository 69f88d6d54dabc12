"""Model inversion: what a model holds to be typical of a class (Fredrikson et al. 2015; §IX, Fig. 13)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import pairwise_distances

from mialib.batches import DenseBatch, as_features, unit
from mialib.checks import whole


@dataclass(frozen=True)
class Flat:
    """Start from an image of one grey value; black, the default, is the method's own.

    Parameters
    ----------
    level : float
        0 is black, 1 is white.
    """

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

    The cost is one minus the probability of the class. After each step pixels are cut off at
    black and white, so that what comes out is an image; the original leaves this step open.

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
        whole("max_steps", self.max_steps, 0)
        whole("patience", self.patience, 1)
        if not 0 < self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence}; it must be above 0 and at most 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be positive")


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """What inversion made of every class of M models.

    Parameters
    ----------
    images : ndarray of float32, shape (M, classes, ...)
        Pixels, 0 to 1; of all steps the one of least cost.
    probability : ndarray of float32, shape (M, classes)
        That the model gives to the class, for this image.
    steps : ndarray of int64, shape (M, classes)
        Taken until the method stopped.
    """

    images: np.ndarray
    probability: np.ndarray
    steps: np.ndarray


def invert(method, stack, shape, seed=0):
    """Reconstruct every class of every model, all together.

    Each reconstruction comes out as if it had been made alone: none sees another's gradient, and
    each stops by itself.

    Parameters
    ----------
    method : Inversion
    stack : DenseStack or ConvStack
        Of M models.
    shape : tuple of int
        Of a record.
    seed : int or SeedSequence
        Decides a start of noise.

    Returns
    -------
    Reconstructions
    """
    followed, every = stack.followed(), (stack.n_models, stack.n_classes)
    x = torch.from_numpy(method.start.draw((*every, *shape), seed)).to(stack.device).flatten(2)
    best, least = x.clone(), torch.full(every, torch.inf, device=stack.device)
    window = torch.full((method.patience, *every), torch.inf, device=stack.device)
    running, steps = torch.ones_like(least, dtype=torch.bool), torch.zeros_like(least, dtype=torch.int64)
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


def pixels(x):
    """Return images with pixels of 0 to 1, as models see them (ndarray of float32)."""
    return np.asarray(x, np.float32) * np.float32(unit(x))


def class_means(x, y, n_classes):
    """Return the mean of each class (ndarray of float32, shape (n_classes, ...)).

    Raises
    ------
    ValueError
        If a class has no records.
    """
    if missing := sorted(set(range(n_classes)) - set(y)):
        raise ValueError(f"classes {', '.join(map(str, missing))} have no records; a mean needs at least one of each")
    return np.stack([x[y == c].mean(axis=0, dtype=np.float64) for c in range(n_classes)]).astype(np.float32)


def distances(a, b):
    """Return the root mean square difference of each of `a` from each of `b`.

    Parameters
    ----------
    a, b : ndarray, shape (n, ...) and (m, ...)
        Images, with pixels of 0 to 1, or features.

    Returns
    -------
    ndarray of float64, shape (n, m)
        A pixel or feature, in the unit of `a`.
    """
    a, b = as_features(a).astype(np.float64), as_features(b).astype(np.float64)
    return pairwise_distances(a, b) / np.sqrt(a.shape[1])


def distance_to_class(points, x, y):
    """Return how far each record is from the point of its class: small would speak for a member.

    Parameters
    ----------
    points : ndarray, shape (classes, ...)
        Reconstructions or class means, or their features.
    x : ndarray, shape (n, ...)
        Records, or their features.
    y : ndarray of int, shape (n,)
        True classes.

    Returns
    -------
    ndarray of float64, shape (n,)
        Root mean square difference.
    """
    return np.sqrt(np.mean(np.square(as_features(points)[y] - as_features(x)), axis=1, dtype=np.float64))


def closeness(points, labels, members, held_out):
    """Say of each point whether it is an average of its class, or near a record.

    Parameters
    ----------
    points : ndarray, shape (n, ...)
        Reconstructions, or other images to hold beside them; or features of these.
    labels : ndarray of int, shape (n,)
        Their classes.
    members, held_out : tuple of ndarray
        Records, or their features, and their true classes: those that the model was trained on, and
        others. In a class, as many of one are looked at as of the other.

    Returns
    -------
    DataFrame
        One row a point: root mean square difference from the mean of the members of the class,
        from the nearest of its members and from its nearest held-out record; correlation with that
        mean over pixels; and whether, of all classes' means, it correlates most with its own.
    """
    means = class_means(*members, int(max(members[1].max(), labels.max())) + 1)
    likeness = correlations(points, means)
    rows = []
    for i, c in enumerate(labels):
        of_class = [x[y == c] for x, y in (members, held_out)]
        n = min(map(len, of_class))
        member, other = (distances(points[i : i + 1], x[:n]).min(initial=np.inf) for x in of_class)
        rows.append(
            {
                "distance to the class mean": distances(points[i : i + 1], means[c : c + 1]).item(),
                "distance to the nearest training record": member,
                "distance to the nearest held-out record": other,
                "correlation with the class mean": likeness[i, c],
                "nearest mean is its own": float(likeness[i].argmax() == c),
            }
        )
    return pd.DataFrame(rows)


def correlations(a, b):
    """Return the correlation over pixels or features of each of `a` with each of `b`.

    Parameters
    ----------
    a, b : ndarray, shape (n, ...) and (m, ...)

    Returns
    -------
    ndarray of float64, shape (n, m)
        0 for an image of one grey value, which is like none.
    """
    a, b = (as_features(x).astype(np.float64) for x in (a, b))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return np.divide(a @ b.T, lengths, out=np.zeros_like(lengths), where=lengths > 1e-9)
