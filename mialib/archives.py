"""The archives that the paper's authors published: text in a tar, one record a line, read strictly."""

import gzip
import itertools
import tarfile
import zlib
from contextlib import contextmanager

import numpy as np

from mialib.files import DataError
from mialib.packed import PackedRecords

LINES = 2000
"""Lines that are read at once."""


def read_labelled(path, member, title):
    """Read an archive of one file of lines ``class,0,1,...``, such as ``dataset_purchase.tgz``.

    Parameters
    ----------
    path : path
    member : str
        Name of the file in the archive.
    title : str
        What the archive is, for messages.

    Returns
    -------
    x : ndarray of uint8, shape (n, features)
    y : ndarray of int64, shape (n,)
        Classes from 0; the file counts from 1, and may quote them.

    Raises
    ------
    DataError
        If the file is no such archive.
    """
    parts, y = [], []
    with opened(path, title) as archive:
        for lines in _chunks(archive.extractfile(member)):
            labels, _, rest = zip(*(line.partition(b",") for line in lines), strict=True)
            y += [int(label.strip(b'"')) for label in labels]
            parts.append(bits(rest, parts[0].shape[1] if parts else None))
        return np.concatenate(parts), _classes(y)


def read_apart(path, features, labels, title):
    """Read an archive with features and classes in files of their own, such as ``dataset_texas.tgz``.

    Parameters
    ----------
    path : path
    features, labels : str
        Names of the files in the archive.
    title : str
        What the archive is, for messages.

    Returns
    -------
    x : PackedRecords, shape (n, features)
    y : ndarray of int64, shape (n,)
        Classes from 0; the file counts from 1.

    Raises
    ------
    DataError
        If the file is no such archive.
    """
    with opened(path, title) as archive:
        y = _classes([int(line) for line in archive.extractfile(labels)])
        x, width = [], None
        for lines in _chunks(archive.extractfile(features)):
            chunk = bits(lines, width)
            width = chunk.shape[1]
            x.append(np.packbits(chunk, axis=1))
        if sum(map(len, x)) != len(y):
            raise ValueError(f"{sum(map(len, x))} records but {len(y)} classes")
        return PackedRecords(np.concatenate(x), width), y


@contextmanager
def opened(path, title):
    """Open a compressed tar, and read it to its end; whatever is wrong with it becomes one sentence."""
    try:
        with gzip.open(path) as whole:
            with tarfile.open(fileobj=whole) as archive:
                yield archive
            while whole.read(2**20):  # gzip's own checksum stands at the end
                pass
    except (tarfile.TarError, zlib.error, KeyError, ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} is not the official {title} archive ({error}); download it again") from error


def _chunks(file):
    lines = iter(file)
    while chunk := [line.rstrip(b"\r\n") for line in itertools.islice(lines, LINES)]:
        yield chunk


def bits(lines, width=None):
    """Return lines ``0,1,...`` as an ndarray of uint8, shape (lines, features).

    Parameters
    ----------
    lines : sequence of bytes
    width : int, optional
        Number of features that there must be.

    Raises
    ------
    ValueError
        If a line is anything but features of 0 or 1, or has another number of them.
    """
    text = np.frombuffer(b"".join(lines), np.uint8)
    width = width or (len(lines[0]) + 1) // 2
    if {len(line) for line in lines} != {2 * width - 1}:
        raise ValueError(f"a record does not have {width} features of 0 or 1")
    text = text.reshape(len(lines), -1)
    x = text[:, ::2] - ord("0")
    if x.max() > 1 or (text[:, 1::2] != ord(",")).any():
        raise ValueError("features must be 0 or 1")
    return x


def _classes(y):
    y = np.array(y, np.int64) - 1
    if not len(y) or y.min() < 0:
        raise ValueError("there must be classes, counted from 1")
    return y
