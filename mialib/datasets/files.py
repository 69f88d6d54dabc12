"""Files of records: found, downloaded, and held against their checksums."""

import hashlib
import os
import shutil
import socket
import sys
import tarfile
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pooch

from mialib.base.machine import cache_dir, shipped

TIMEOUT = 30
"""Seconds without a byte after which a download is given up."""


class DataError(OSError):
    """The records asked for cannot be had, or the file found is not the one expected."""


def file_sha256(path):
    """Return the sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def own_file(name, sha256):
    """Return the path of a file in the folder ``MIALIB_DATA``, or None where there is none.

    Raises
    ------
    DataError
        If the file is not the one that `sha256`, unless None, names.
    """
    folder = os.environ.get("MIALIB_DATA")
    if not folder or not (path := Path(folder) / name).exists():
        return None
    if sha256 and (found := file_sha256(path)) != sha256:
        raise DataError(
            f"{path} has sha256 {found}, not {sha256}: damaged, or another file; replace it or unset MIALIB_DATA"
        )
    return path


def torchvision_files(name):
    """Return the training and the test part of a data set of `torchvision.datasets`.

    They are looked for in ``MIALIB_DATA``, then in the cache, then downloaded; torchvision
    checks their checksums.

    Raises
    ------
    DataError
        If the files cannot be downloaded, or are damaged. Nothing is left in the cache.
    """
    from torchvision import datasets

    read = getattr(datasets, name)
    folder = cache_dir() / "data"
    for place in filter(None, (os.environ.get("MIALIB_DATA"), folder)):
        with suppress(RuntimeError):
            return [read(place, train=train) for train in (True, False)]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as partial:
        try:
            with _timeout():
                read(partial, download=True)
        except (OSError, RuntimeError, EOFError, ValueError, tarfile.TarError) as error:
            raise DataError(
                f"{name} could not be downloaded from {_addresses(read)} ({' '.join(str(error).split())}); "
                'try again, put its files into a folder and set MIALIB_DATA to it, or take source="stand-in" or '
                '"sample", whichever the set has'
            ) from error
        (part,) = (path for path in Path(partial).iterdir() if path.is_dir())
        shutil.rmtree(folder / part.name, ignore_errors=True)
        os.replace(part, folder / part.name)
    return [read(folder, train=train) for train in (True, False)]


@contextmanager
def _timeout():
    """Give up a download that stalls; torchvision itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _addresses(read):
    return " or ".join(getattr(read, "mirrors", None) or [read.url])


def fetch(url, sha256=None):
    """Return the path of a file: from ``MIALIB_DATA``, the cache, or its address.

    Parameters
    ----------
    url : str
    sha256 : str, optional
        Of the file; without one its content is not checked here: see `read_fetched`.

    Raises
    ------
    DataError
        If the file is not the one that `sha256` names, or cannot be had. Nothing is left in the
        cache.
    """
    name = url.rsplit("/", 1)[-1]
    if own := own_file(name, sha256):
        return own
    folder = cache_dir() / "data"
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=TIMEOUT)
    try:
        return Path(pooch.retrieve(url, sha256, fname=name, path=folder, downloader=downloader))
    except ValueError as error:
        raise DataError(
            f"what came from {url} does not have sha256 {sha256} and was not kept; "
            "try again, or put the file into a folder and set MIALIB_DATA to it"
        ) from error
    except OSError as error:
        raise DataError(
            f"{name} could not be downloaded from {url} ({type(error).__name__}); put the file into a folder and set "
            'MIALIB_DATA to it, or take source="stand-in" or "sample", whichever the set has'
        ) from error


def read_fetched(url, sha256, read):
    """Fetch a file and read it.

    Parameters
    ----------
    url : str
    sha256 : str or None
        None where no checksum is published: then `read` decides whether the file is the right one.
    read : callable
        From the path to what is in the file; raises `DataError` if it is another file.

    Returns
    -------
    content : object
        What `read` returned.
    sha256 : str
        Of the file.

    Raises
    ------
    DataError
        As from `fetch` and `read`. A download that cannot be read is not left in the cache.
    """
    path = fetch(url, sha256)
    try:
        return read(path), file_sha256(path)
    except DataError:
        if path.parent == cache_dir() / "data":
            path.unlink()
        raise


def read_sample(name, sha256):
    """Return the arrays of a shipped sample, and its checksum.

    Raises
    ------
    DataError
        If the file is missing or is not the one that `sha256` names.
    """
    path = shipped("data", name)
    if not path.exists():
        raise DataError(f"{path} is missing; restore it with python data/build.py")
    if (found := file_sha256(path)) != sha256:
        raise DataError(f"{path} has sha256 {found}, not {sha256}; restore it with python data/build.py")
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive), found
