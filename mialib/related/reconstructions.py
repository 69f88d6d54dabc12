"""Model inversion of a target, and how close its reconstructions come to records.

Points and records are images, with pixels of 0 to 1, or features, shape (n, ...).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import pairwise_distances

from mialib import metrics
from mialib.attack.experiment import Result
from mialib.base.seeding import stream
from mialib.datasets.features import as_features, pixels
from mialib.models.stack import Stack
from mialib.related.inversion import invert


def class_means(x, y, n_classes):
    """Return the mean of each class, float32, shape (n_classes, ...); a ValueError says which has no records."""
    if missing := sorted(set(range(n_classes)) - set(y)):
        raise ValueError(f"classes {', '.join(map(str, missing))} have no records; a mean needs at least one of each")
    return np.stack([x[y == c].mean(axis=0, dtype=np.float64) for c in range(n_classes)]).astype(np.float32)


def distances(a, b):
    """Return the root mean square difference of each of `a` from each of `b`, per pixel; float64, shape (n, m)."""
    a, b = as_features(a).astype(np.float64), as_features(b).astype(np.float64)
    return pairwise_distances(a, b) / np.sqrt(a.shape[1])


def distance_to_class(points, x, y):
    """Return how far each record is from the point of its class, float64: small would speak for a member."""
    return np.sqrt(np.mean(np.square(as_features(points)[y] - as_features(x)), axis=1, dtype=np.float64))


def correlations(a, b):
    """Return the correlation over pixels of each of `a` with each of `b`, shape (n, m); 0 for an image of one grey."""
    a, b = (as_features(x).astype(np.float64) for x in (a, b))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return np.divide(a @ b.T, lengths, out=np.zeros_like(lengths), where=lengths > 1e-9)


def nearest(points, labels, x, y):
    """Return the record of its class that is nearest to each point, an ndarray of the shape of `points`."""
    rows = [np.flatnonzero(y == c) for c in labels]
    return np.stack([x[r[distances(p[None], x[r]).argmin()]] for p, r in zip(points, rows, strict=True)])


def closeness(points, labels, members, held_out, seed=0):
    """Say of each point whether it is an average of its class, or near a record; a DataFrame of one row each.

    `members` and `held_out` are pairs of records, or their features, and true classes: those that the model was
    trained on, and others. In a class, as many of one are looked at as of the other, drawn from the seed.
    """
    rng = np.random.default_rng(seed)
    means = class_means(*members, int(max(members[1].max(), labels.max())) + 1)
    likeness = correlations(points, means)
    rows = []
    for i, c in enumerate(labels):
        of_class = [x[y == c] for x, y in (members, held_out)]
        n, point = min(map(len, of_class)), points[i : i + 1]
        drawn = (x[rng.permutation(len(x))[:n]] for x in of_class)
        member, other = (distances(point, x).min(initial=np.inf) for x in drawn)
        rows.append(
            {
                "distance to the class mean": distances(point, means[c : c + 1]).item(),
                "distance to the nearest training record": member,
                "distance to the nearest held-out record": other,
                "nearest record is a training record": float(member < other),
                "correlation with the class mean": likeness[i, c],
                "nearest mean is its own": float(likeness[i].argmax() == c),
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class Inverted:
    """The target of an attack inverted, and what its reconstructions are held against.

    `stack` holds the target and then its shadow models, `made` the target's `Reconstructions` by the name of the start.
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
        """Return rows for `mialib.plots.image_rows`: class means, reconstructions, these stretched; never a record."""
        rows = {"class mean": self.means}
        for start, images in self.images.items():
            rows |= {f"from {start}": images, f"from {start}, stretched": _stretched(images)}
        return rows

    def nearest(self, start):
        """Return the records that are nearest to the reconstructions from a start, by side: a dict to ndarray."""
        images, classes = self.images[start], np.arange(self.result.data.n_classes)
        return {f"nearest {side}": nearest(images, classes, *records) for side, records in self._sides().items()}

    def reached(self, confidence):
        """Return by start how far the method came, and whether other models, the shadows, see the class."""
        shadows, numbers = self.stack.models(slice(1, None)), {}
        for start, made in self.made.items():
            seen = shadows.predict_proba(made.images[0]).argmax(axis=2)
            numbers[f"from {start}"] = {
                "classes that reach the confidence": float(np.mean(made.probability >= confidence)),
                "least probability of a class": float(made.probability.min()),
                "median steps": float(np.median(made.steps)),
                "put into their class by shadow models": float(np.mean(seen == np.arange(seen.shape[1]))),
            }
        return numbers

    def closeness(self, start, n_others=200):
        """Hold reconstructions against other images: means over classes of what `closeness` measures, a dict of dict.

        By kind of image, numbers by name, each for pixels and for the features of a shadow model. `n_others` images
        drawn from the shadows' pool, which the target has not seen, are there to compare with.
        """
        classes, pool = np.arange(self.result.data.n_classes), self.result.split.pool
        others = np.random.default_rng(stream(self.result.experiment.seed, "numbers")).permutation(pool)[:n_others]
        kinds = {
            "a reconstruction": (self.images[start], classes),
            "an image": self._records(others),
            "a class mean": (self.means, classes),
            "plain grey": (np.full_like(self.means, 0.5), classes),
        }
        return {kind: self._closeness(*points) for kind, points in kinds.items()}

    def _closeness(self, points, labels):
        sides = self._sides().values()
        in_pixels = closeness(points, labels, *sides).mean()
        in_features = closeness(self.features(points), labels, *((self.features(x), y) for x, y in sides)).mean()
        return in_pixels.to_dict() | {f"{name}, in features": value for name, value in in_features.items()}

    def membership_aucs(self):
        """Return the AUC of the shadow attack, and of a small distance to the reconstruction of the class, by name."""
        x, y = self._records(np.concatenate([self.result.split.target_in, self.result.split.target_out]))
        seen, member = self.features(x), self.result.target.member
        aucs = {"shadow AUC": self.result.inference.auc}
        for start, images in self.images.items():
            aucs[f"inversion AUC from {start}"] = metrics.roc_auc(member, -distance_to_class(images, x, y))
            in_features = distance_to_class(self.features(images), seen, y)
            aucs[f"inversion AUC from {start}, in features"] = metrics.roc_auc(member, -in_features)
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


def inversion_numbers(closeness, aucs, start):
    """Return the numbers that say whether reconstructions are averages, copies, or signs of membership.

    `closeness` and `aucs` come from `Inverted.closeness` and `Inverted.membership_aucs`; `start` is the one whose AUC
    counts.
    """
    numbers = {f"{kind}, {q}": v for kind in ("a reconstruction", "an image") for q, v in closeness[kind].items()}
    near, far = (numbers[f"a reconstruction, distance to the nearest {of} record"] for of in ("training", "held-out"))
    return numbers | {
        "nearest training image nearer by": 1 - near / far,
        "classes with a training image nearest": numbers["a reconstruction, nearest record is a training record"],
        "shadow AUC": aucs["shadow AUC"],
        "inversion AUC": aucs[f"inversion AUC from {start}"],
    }


def invert_target(result, methods, seed=0, cache=None):
    """Invert the target of an attack from one or several starts; return what came of it, `Inverted`.

    `methods` has an `Inversion` by the name of the start; the first is the one that counts. The seed decides a start of
    noise.
    """
    stack, shape = result.models(cache), result.data.x.shape[1:]
    target = stack.models(slice(0, 1))
    return Inverted(result, stack, {name: invert(method, target, shape, seed) for name, method in methods.items()})
