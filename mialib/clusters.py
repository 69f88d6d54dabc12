"""Where blocks of models are trained, if a person named a cluster."""

import os
from contextlib import nullcontext
from functools import cache

import joblib

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
