"""Files of records: found, downloaded, and held against their checksums."""

import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pooch

from mialib.paths import cache_dir, shipped


class DataError(OSError):
    """The records asked for cannot be had, or the file found is not the one expected."""


def file_sha256(path):
    """Return the sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def own_file(name, sha256):
    """Return the path of a file of known content in the folder ``MIALIB_DATA``, or None where there is none.

    Raises
    ------
    DataError
        If the file is not the one that `sha256` names.
    """
    folder = os.environ.get("MIALIB_DATA")
    if not folder or not (path := Path(folder) / name).exists():
        return None
    if (found := file_sha256(path)) != sha256:
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
            read(partial, download=True)
        except (OSError, RuntimeError, EOFError, tarfile.TarError) as error:
            raise DataError(
                f"{name} could not be downloaded from {read.url} ({type(error).__name__}: {error}); "
                'try again, put its files into a folder and set MIALIB_DATA to it, or take source="stand-in"'
            ) from error
        shutil.rmtree(folder / read.base_folder, ignore_errors=True)
        os.replace(Path(partial, read.base_folder), folder / read.base_folder)
    return [read(folder, train=train) for train in (True, False)]


def fetch(url, sha256):
    """Return the path of a file of known content: from ``MIALIB_DATA``, the cache, or its address.

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
    try:
        return Path(pooch.retrieve(url, sha256, fname=name, path=folder, progressbar=sys.stderr.isatty()))
    except ValueError as error:
        raise DataError(
            f"what came from {url} does not have sha256 {sha256} and was not kept; "
            "try again, or put the file into a folder and set MIALIB_DATA to it"
        ) from error
    except OSError as error:
        raise DataError(
            f"{name} could not be downloaded from {url} ({type(error).__name__}); put the file into a folder and set "
            'MIALIB_DATA to it, or take source="stand-in"'
        ) from error


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
