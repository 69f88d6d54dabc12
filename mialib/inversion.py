"""Model inversion: what a model holds to be typical of a class (Fredrikson et al. 2015; §IX, Fig. 13)."""

from dataclasses import dataclass

import numpy as np
import torch

from mialib.batches import DenseBatch, pixels
from mialib.checks import whole
from mialib.closeness import class_means, closeness, distance_to_class, nearest
from mialib.experiment import Result, models
from mialib.metrics import roc_auc
from mialib.models import Stack
from mialib.threads import one_thread


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


@dataclass(frozen=True, eq=False)
class Inverted:
    """The target of an attack turned inside out, and what its reconstructions are held against.

    Parameters
    ----------
    result : Result
    stack : DenseStack or ConvStack
        The target, then its shadow models.
    made : dict of str to Reconstructions
        Of the target, by the name of the start; the first is the method's own.
    """

    result: Result
    stack: Stack
    made: dict

    @property
    def images(self):
        """Reconstructions by the name of the start, a dict to ndarray of shape (classes, ...)."""
        return {start: made.images[0] for start, made in self.made.items()}

    @property
    def means(self):
        """The mean of the target's members of each class, ndarray of float32, shape (classes, ...)."""
        return class_means(*self._records(self.result.split.target_in), self.result.data.n_classes)

    def pictures(self):
        """Return rows for `mialib.plots.image_rows`: class means and reconstructions, no single record.

        Reconstructions are shown as they are, and stretched to the contrast from black to white.
        """
        rows = {"class mean": self.means}
        for start, images in self.images.items():
            rows |= {f"from {start}": images, f"from {start}, stretched": _stretched(images)}
        return rows

    def nearest(self, start):
        """Return the records that are nearest to the reconstructions from a start, by side: a dict to ndarray."""
        classes = np.arange(self.result.data.n_classes)
        return {
            f"nearest {side}": nearest(self.images[start], classes, *records) for side, records in self._sides().items()
        }

    def reached(self, confidence):
        """Return how far the method came, a dict from start to numbers by name.

        The last number is the share of reconstructions that the shadow models put into their
        class: would another model see it?
        """
        shadows, classes = self.stack.models(slice(1, None)), np.arange(self.result.data.n_classes)
        return {
            start: {
                "classes that reach the confidence": float(np.mean(made.probability >= confidence)),
                "least probability of a class": float(made.probability.min()),
                "median steps": float(np.median(made.steps)),
                "put into their class by shadow models": float(
                    np.mean(shadows.predict_proba(made.images[0]).argmax(axis=2) == classes)
                ),
            }
            for start, made in self.made.items()
        }

    def closeness(self, start, n_others=200):
        """Hold reconstructions against other images: means over classes of what `closeness` measures.

        Parameters
        ----------
        start : str
        n_others : int
            Images from the shadows' pool that the target has not seen, to compare with.

        Returns
        -------
        dict of str to dict
            Kind of image to numbers by name, each for pixels and for the features of a shadow model.
        """
        data, others = self.result.data, self.result.split.pool[:n_others]
        classes = np.arange(data.n_classes)
        kinds = {
            "a reconstruction": (self.images[start], classes),
            "an image": self._records(others),
            "a class mean": (self.means, classes),
            "plain grey": (np.full_like(self.means, 0.5), classes),
        }
        return {kind: self._closeness(*points) for kind, points in kinds.items()}

    def _closeness(self, points, labels):
        members, held_out = self._sides().values()
        in_pixels = closeness(points, labels, members, held_out).mean()
        seen = [(self.features(x), y) for x, y in (members, held_out)]
        in_features = closeness(self.features(points), labels, *seen).mean()
        return in_pixels.to_dict() | {f"{name}, in features": value for name, value in in_features.items()}

    def membership_aucs(self):
        """Return the AUC of the shadow attack, and of a small distance to the reconstruction of the class.

        Returns
        -------
        dict of str to float
        """
        rows = np.concatenate([self.result.split.target_in, self.result.split.target_out])
        x, y = self._records(rows)
        seen, member = self.features(x), self.result.target.member
        aucs = {"shadow AUC": self.result.auc}
        for start, images in self.images.items():
            aucs[f"inversion AUC from {start}"] = roc_auc(member, -distance_to_class(images, x, y))
            in_features = distance_to_class(self.features(images), seen, y)
            aucs[f"inversion AUC from {start}, in features"] = roc_auc(member, -in_features)
        return aucs

    def features(self, x):
        """Return the last hidden layer of the first shadow model, which has seen no record of the target."""
        return self.stack.models(slice(1, 2)).features(x)[0]

    def _records(self, rows):
        return pixels(self.result.data.x[rows]), self.result.data.y[rows]

    def _sides(self):
        split = self.result.split
        return {"training image": self._records(split.target_in), "unseen image": self._records(split.target_out)}


def _stretched(images):
    axes = tuple(range(1, images.ndim))
    low, high = images.min(axis=axes, keepdims=True), images.max(axis=axes, keepdims=True)
    return np.divide(images - low, high - low, out=images.copy(), where=high > low)


def summary(closeness, aucs, start):
    """Return the numbers that say whether reconstructions are averages, copies, or signs of membership.

    Parameters
    ----------
    closeness : dict
        From `Inverted.closeness`.
    aucs : dict
        From `Inverted.membership_aucs`.
    start : str
        Whose AUC counts.

    Returns
    -------
    dict of str to float
    """
    numbers = {f"{kind}, {q}": v for kind in ("a reconstruction", "an image") for q, v in closeness[kind].items()}
    near, far = (numbers[f"a reconstruction, distance to the nearest {of} record"] for of in ("training", "held-out"))
    return numbers | {
        "nearest training image nearer by": 1 - near / far,
        "classes with a training image nearest": numbers["a reconstruction, nearest record is a training record"],
        "shadow AUC": aucs["shadow AUC"],
        "inversion AUC": aucs[f"inversion AUC from {start}"],
    }


def turn_inside_out(result, methods, seed=0, cache=None):
    """Invert the target of an attack from one or several starts.

    Parameters
    ----------
    result : Result
    methods : dict of str to Inversion
        By the name of the start; the first is the one that counts.
    seed : int or SeedSequence
        Decides a start of noise.
    cache : ModelCache, optional

    Returns
    -------
    Inverted
    """
    stack, shape = models(result, cache), result.data.x.shape[1:]
    target = stack.models(slice(0, 1))
    return Inverted(result, stack, {name: invert(method, target, shape, seed) for name, method in methods.items()})
