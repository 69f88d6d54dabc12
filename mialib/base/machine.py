"""The machine that runs this: what ships and where the cache is, threads, clusters, and progress on long work."""

import os
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import joblib
import pooch
import torch
from tqdm.auto import tqdm

_PACKAGE = Path(__file__).parent.parent


def shipped(*parts):
    """Return the path of something that ships with the project, such as ``data/purchase.npz``.

    In a checkout it stands beside the package; an installed wheel carries it inside.
    """
    inside = _PACKAGE / "_shipped"
    return (inside if inside.exists() else _PACKAGE.parent).joinpath(*parts)


def cache_dir():
    """Return the folder of downloads and trained models: ``MIALIB_CACHE``, or the user's cache."""
    return Path(os.environ.get("MIALIB_CACHE") or pooch.os_cache("mialib"))


def write_text(path, text):
    """Write a file under a temporary name, rename it, and return its path; if that fails, nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False, suffix=".part") as file:
        try:
            file.write(text)
        except BaseException:
            os.unlink(file.name)
            raise
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    return path


@contextmanager
def one_thread():
    """Compute on one thread inside: for small tensors, where threads wait for each other longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


CLUSTER = "MIALIB_CLUSTER"
"""Environment variable: address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``."""

PATIENCE = 10
"""Seconds that a scheduler has to answer."""


def workers():
    """Return a context in which joblib's work goes to the cluster of ``MIALIB_CLUSTER``, if that is set.

    Raises
    ------
    OSError
        If no scheduler answers there.
    ImportError
        If dask.distributed is not installed.
    """
    address = os.environ.get(CLUSTER)
    if not address:
        return nullcontext()
    _client(address)
    return joblib.parallel_config("dask")


@cache
def _client(address):
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(f'{CLUSTER} is set, but dask is missing; pip install "mialib[dask]"') from error
    try:
        return Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise OSError(f"no Dask scheduler answers at {address}; start one, or name another address") from error


OPEN_NOTEBOOK = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG")
"""Set in a kernel that a person's Jupyter, VS Code or Colab has started; not by papermill or nbval."""


def is_watched():
    """Return whether a person is likely to watch; ``MIALIB_PROGRESS=0`` or ``1`` decides it (bool)."""
    if own := os.environ.get("MIALIB_PROGRESS"):
        return own != "0"
    return sys.stderr.isatty() or any(name in os.environ for name in OPEN_NOTEBOOK)


def progress(total, what, unit, remark=None):
    """Return a bar that says what is done of `total`, and the time left; nothing where nobody watches.

    Parameters
    ----------
    total : int
    what, unit : str
        Such as ``training`` and ``model``.
    remark : str, optional
        Shown behind, such as ``200 epochs each``.

    Returns
    -------
    tqdm
        A context manager with ``update(n)``.
    """
    return tqdm(total=total, desc=what, unit=unit, postfix=remark, disable=not (total and is_watched()))
