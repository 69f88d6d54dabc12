"""Trained models on disk, found by everything that decides them.

A model's key is the sha256 of its records, its recipe, its seed, the code that trains and the
versions underneath. An entry is written under a temporary name and renamed, so that it is there
whole or not at all.
"""

import ast
import hashlib
import inspect
import json
import os
import shutil
import tempfile
import time
import zipfile
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import torch

from mialib.base.machine import cache_dir

USED = "MIALIB_USED"
"""Environment variable: a file to which the keys of models are added, a line each, as they are found or kept."""


def model_key(recipe, fingerprint, rows, seed, device):
    """Return the key of one trained model.

    Parameters
    ----------
    recipe : Recipe
    fingerprint : str
        Of the data set.
    rows : ndarray of int
        The model's training records.
    seed : SeedSequence
    device : torch.device

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    parts = {
        "recipe": {"type": type(recipe).__qualname__, "fields": _plain(recipe)},
        "data": fingerprint,
        "rows": hashlib.sha256(np.ascontiguousarray(rows, np.int64)).hexdigest(),
        "seed": [seed.entropy, list(seed.spawn_key)],
        "device": device.type,
        "code": code_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _plain(choice):
    """Return a frozen dataclass as JSON, type names included: Epochs(5) is not Steps(5)."""
    fields = {name: getattr(choice, name) for name in asdict(choice)}
    return {
        n: {type(v).__qualname__: _plain(v)} if hasattr(v, "__dataclass_fields__") else v for n, v in fields.items()
    }


@cache
def code_version():
    """Return the sha256 of the code that decides a trained model."""
    room = Path(__file__).parent
    names = ("models/batches", "models/kernels", "models/stack", "models/cnn", "models/training")
    files = [room.parent / f"{name}.py" for name in ("datasets/features", *names, "base/seeding")]
    return code_sha256(path.read_text(encoding="utf-8") for path in files)


def code_sha256(sources):
    """Return the sha256 of Python code, an iterable of str; comments and docstrings don't count."""
    digest = hashlib.sha256()
    for source in sources:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()


def _note(key):
    if listed := os.environ.get(USED):
        with open(listed, "a", encoding="utf-8") as file:
            file.write(f"{key}\n")


class ModelCache:
    """A folder of trained models. What a killed run left half-written is swept out an hour later.

    Parameters
    ----------
    folder : path, optional
        By default ``models`` in the folder ``MIALIB_CACHE``, or in the user's cache.
    """

    def __init__(self, folder=None):
        self.folder = Path(folder) if folder else cache_dir() / "models"
        hour_ago = time.time() - 3600
        for partial in self.folder.glob("*/*.part"):
            if partial.stat().st_mtime < hour_ago:
                partial.unlink(missing_ok=True)

    def path(self, key):
        """Return where the entry of this key stands, or would."""
        return self.folder / key[:2] / f"{key}.npz"

    def get(self, key):
        """Return a model's parameters, or None. A damaged entry is removed and counts as absent."""
        path = self.path(key)
        try:
            with np.load(path, allow_pickle=False) as entry:
                parameters = entry["parameters"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            path.unlink(missing_ok=True)
            return None
        _note(key)
        return parameters

    def put(self, key, parameters):
        """Store a model's parameters, an ndarray of float32; all of it or, if interrupted, nothing."""
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, parameters=parameters)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            os.unlink(partial)
            raise
        _note(key)

    def size(self):
        """Return the number of models kept, and the bytes they take."""
        sizes = [path.stat().st_size for path in self.folder.glob("*/*.npz")]
        return len(sizes), sum(sizes)

    def clear(self):
        """Remove all models."""
        shutil.rmtree(self.folder, ignore_errors=True)
