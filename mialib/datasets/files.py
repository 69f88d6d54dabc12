"""Files of records: found, downloaded, and held against their checksums."""

import os
import shutil
import socket
import sys
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pooch

from mialib.base.archives import check_sizes
from mialib.base.files import check_writable, working_folder
from mialib.base.machine import cache_dir, shipped
from mialib.base.text import one_line

TIMEOUT = 30  # seconds without a byte after which a download is given up
ANOTHER = ": damaged, or another file; replace it or unset MIALIB_DATA"
WAYS_OUT = 'set MIALIB_DATA to it, or take source="stand-in" or "sample", whichever the set has'


class DataError(OSError):
    """The records asked for cannot be had, or the file found is not the one expected."""


def file_sha256(*paths):
    """Return the sha256 of a file; of several, theirs in this order."""
    return " and ".join(map(pooch.file_hash, paths))


def _check(paths, sha256, remedy, *others):
    if (found := file_sha256(*paths)) not in (sha256, *others):
        raise DataError(f"{paths[0]} has sha256 {found}, not {sha256}{remedy}")


def read_sample(name, sha256):
    """Return the arrays of a shipped sample; a `DataError` if it is missing or not the file that `sha256` names."""
    path, remedy = shipped("data", name), "; restore it with python data/build.py"
    if not path.exists():
        raise DataError(f"{path} is missing{remedy}")
    _check([path], sha256, remedy)
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def read_npz(path, *names):
    """Return arrays of numbers or text, by their names, of a file of numpy's; a ValueError if it has them not."""
    if not zipfile.is_zipfile(path):
        raise ValueError("no npz file, or a damaged one")
    try:
        check_sizes(path)
        with np.load(path, allow_pickle=False) as archive:
            if not set(names) <= set(archive.files):
                raise ValueError(f"it has the arrays {', '.join(archive.files)}, not {' and '.join(names)}")
            arrays = [archive[name] for name in names]
    except ValueError:
        raise
    except Exception as error:  # of zip, zlib and headers, of many types
        raise ValueError(f"damaged: {_in_short(error)}") from error
    if foreign := [array.dtype for array in arrays if array.dtype.kind not in "biufSU"]:
        raise ValueError(f"it has an array of {foreign[0]}, not of numbers")
    return arrays


def own_files(*choices):
    """Return which of these files the folder ``MIALIB_DATA`` has, a list of lists of paths.

    A choice is a tuple of names: one, or those of files that belong together; a `DataError` if one of these is missing.
    """
    folder, found = os.environ.get("MIALIB_DATA"), []
    for names in choices if folder else ():
        paths = [Path(folder, name) for name in names]
        missing = [path for path in paths if not path.is_file()]
        if missing and len(missing) < len(paths):
            raise DataError(f"{missing[0]} is missing; it belongs to {' and '.join(names)}")
        if not missing:
            found.append(paths)
    return found


def read_fetched(url, sha256, read, *choices, unpacked=()):
    """Read a file from ``MIALIB_DATA``, the cache, or its address; return its content and its sha256.

    Whatever `read`, from the path to the content, raises is a `DataError` that names the file: all that decides where
    no checksum is published (`sha256` None). A download that cannot be read is removed from the cache, and that is
    said; a file of ``MIALIB_DATA`` never is.
    ``MIALIB_DATA`` may have it under other names, `choices` of `own_files`, and with the checksums `unpacked`.
    """
    name = url.rsplit("/", 1)[-1]
    if own := own_files((name,), *choices):
        paths = own[0]
        if sha256:
            _check(paths, sha256, ANOTHER, *unpacked)
    else:
        paths = [_fetch(url, name, sha256)]
    try:
        return read(*paths), file_sha256(*paths)
    except Exception as error:  # what is in a damaged file may raise anything
        said = _in_short(error)
        said = said if isinstance(error, DataError) else f"{paths[0]} cannot be read ({said}); get it again"
        if not own:
            paths[0].unlink(missing_ok=True)
            said += "; the download was removed"
        raise DataError(said) from error


def _in_short(error):
    return one_line(str(error) or type(error).__name__, 400)


def _fetch(url, name, sha256):
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=TIMEOUT)
    folder = cache_dir() / "data"
    if not (folder / name).exists():
        _check_cache(folder / name)
    try:
        return Path(pooch.retrieve(url, sha256, name, folder, downloader=downloader))
    except ValueError as error:
        raise DataError(
            f"what came from {url} does not have sha256 {sha256} and was not kept; "
            "try again, or put the file into a folder and set MIALIB_DATA to it"
        ) from error
    except OSError as error:
        raise DataError(
            f"{name} could not be downloaded from {url} ({error.strerror or type(error).__name__}); put the file into "
            f"a folder and {WAYS_OUT}"
        ) from error


def _check_cache(path):
    try:
        check_writable(path)
    except OSError as error:
        raise DataError(f"{error}; set MIALIB_CACHE to a folder that downloads can be kept in") from error


def torchvision_files(name):
    """Return the training and the test part of a data set of `torchvision.datasets`, which checks their checksums.

    They are looked for in ``MIALIB_DATA``, then in the cache, then downloaded. If that fails, a `DataError`, and
    nothing is left in the cache.
    """
    from torchvision import datasets

    read = getattr(datasets, name)
    folder = cache_dir() / "data"
    if own := os.environ.get("MIALIB_DATA"):
        try:
            return [read(own, train=train) for train in (True, False)]
        except RuntimeError:  # they are not there
            pass
        except Exception as error:
            raise DataError(f"{name} in {own} cannot be read ({_in_short(error)}){ANOTHER}") from error
    with suppress(Exception):  # what cannot be read is downloaded again, in its place
        return [read(folder, train=train) for train in (True, False)]
    _check_cache(folder / f"{name}.part")  # the folder of this name may be there, and damaged
    before = socket.getdefaulttimeout()
    with working_folder(folder) as partial:
        try:
            socket.setdefaulttimeout(TIMEOUT)  # torchvision itself would wait for ever for a download that stalls
            read(partial, download=True)
        except (OSError, RuntimeError, EOFError, ValueError, tarfile.TarError) as error:
            addresses = " or ".join(getattr(read, "mirrors", None) or [read.url])
            raise DataError(
                f"{name} could not be downloaded from {addresses} ({' '.join(str(error).split())}); "
                f"try again, put its files into a folder and {WAYS_OUT}"
            ) from error
        finally:
            socket.setdefaulttimeout(before)
        (part,) = (path for path in partial.iterdir() if path.is_dir())
        shutil.rmtree(folder / part.name, ignore_errors=True)
        os.replace(part, folder / part.name)
    return [read(folder, train=train) for train in (True, False)]
