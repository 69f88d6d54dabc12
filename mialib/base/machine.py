"""The machine that runs this: what ships and where the cache is, threads, clusters, and progress on long work."""

import os
import platform
import sys
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_INSIDE = _PACKAGE / "_shipped"


def shipped(*parts):
    """Return the path of what ships: beside the package in a checkout, inside it in an installed wheel."""
    return (_PACKAGE.parent if is_checkout() else _INSIDE).joinpath(*parts)


def is_checkout():
    """Return whether the package runs from a checkout, where what ships may be written anew; not so in a wheel."""
    return not _INSIDE.exists()


def cache_dir():
    """Return the folder of downloads and trained models: ``MIALIB_CACHE``, or the user's cache."""
    import pooch

    return Path(os.environ.get("MIALIB_CACHE") or pooch.os_cache("mialib"))


def processor():
    """Return what the processor of this machine is called (str)."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


@cache
def is_intel():
    """Return whether the processor is one of Intel's, as far as the machine says (bool)."""
    return "Intel" in (_cpuinfo("vendor_id") or platform.processor())


@cache
def multiplies_bfloat16():
    """Return whether the processor has instructions that multiply bfloat16, as far as the machine says (bool)."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint((_cpuinfo("flags") or "").split())


def _cpuinfo(name):
    """Return what Linux says of the first processor under a name, or None."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return None


@contextmanager
def one_thread():
    """Compute on one thread inside: for small tensors, where threads wait for each other longer than they work."""
    import torch

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
    """Return a context in which joblib's work goes to the Dask cluster of ``MIALIB_CLUSTER``, if that is set.

    An OSError says that no scheduler answers there, an ImportError that dask.distributed is missing.
    """
    address = os.environ.get(CLUSTER)
    if not address:
        return nullcontext()
    import joblib

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


def progress(what, unit, items=None, total=None, **more):
    """Return a bar that says what is done, and the time left; nothing where nobody watches.

    Every bar of the package is one of these.

    Parameters
    ----------
    what, unit : str
        Such as ``training`` and ``model``.
    items : iterable, optional
        What is gone through; without it, the bar is a context manager with ``update(n)``.
    total : int, optional
        By default the number of items; a bar of 0 is not shown.
    **more
        For tqdm, such as ``postfix="200 epochs each"``.

    Returns
    -------
    tqdm
    """
    from tqdm.auto import tqdm

    return tqdm(items, what, total, unit=unit, disable=total == 0 or not is_watched(), **more)
