"""The target of an attack turned inside out: what its reconstructions are near to, and whether they betray members."""

from dataclasses import dataclass

import numpy as np

from mialib import intervals
from mialib.batches import pixels
from mialib.closeness import class_means, closeness, distance_to_class, nearest
from mialib.experiment import Result, models
from mialib.inversion import invert
from mialib.models import Stack


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
        dict of str to Estimate
        """
        rows = np.concatenate([self.result.split.target_in, self.result.split.target_out])
        x, y = self._records(rows)
        seen, member = self.features(x), self.result.target.member
        judged = self.result.judged
        aucs = {"shadow AUC": intervals.roc_auc(member[judged], self.result.probability[judged])}
        for start, images in self.images.items():
            aucs[f"inversion AUC from {start}"] = intervals.roc_auc(member, -distance_to_class(images, x, y))
            in_features = distance_to_class(self.features(images), seen, y)
            aucs[f"inversion AUC from {start}, in features"] = intervals.roc_auc(member, -in_features)
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
    dict of str to float or Estimate
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
