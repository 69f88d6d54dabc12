"""Trained models on disk, found by everything that decides them.

A model's key is the sha256 of its records, its recipe, its seed, the code that trains and the
versions underneath. An entry is written under a temporary name and renamed, so that it is there
whole or not at all.
"""

import ast
import hashlib
import json
import os
import shutil
import sys
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


def model_keys(recipe, fingerprint, index, seeds, device="cpu"):
    """Return the keys, 64 hexadecimal digits each, of M models trained by a recipe on rows of a data set, from seeds.

    `recipe` is a frozen dataclass of everything else that decides a model, such as a `Recipe`; the code of its module
    counts too. `fingerprint` is the data set's.
    """
    common = {
        "recipe": {type(recipe).__qualname__: _plain(recipe)},
        "data": fingerprint,
        "device": torch.device(device).type,
        "code": code_version(type(recipe).__module__),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    keys = []
    for rows, seed in zip(index, seeds, strict=True):
        own = {
            "rows": hashlib.sha256(np.ascontiguousarray(rows, np.int64)).hexdigest(),
            "seed": [seed.entropy, list(seed.spawn_key)],
        }
        keys.append(hashlib.sha256(json.dumps(common | own, sort_keys=True).encode()).hexdigest())
    return keys


def _plain(choice):
    """Return a frozen dataclass as JSON, type names included: an NN of 64 units is not a CNN of 64."""
    fields = {name: getattr(choice, name) for name in asdict(choice)}
    return {
        n: {type(v).__qualname__: _plain(v)} if hasattr(v, "__dataclass_fields__") else v for n, v in fields.items()
    }


@cache
def code_version(module):
    """Return the sha256 of the code that decides a trained model: of the engine, and of the module of its recipe."""
    engine = ("models/batches", "models/kernels", "models/stack", "models/cnn", "models/training")
    package = Path(__file__).parents[1]
    files = [package / f"{name}.py" for name in ("datasets/features", "base/seeding", *engine)]
    if own := getattr(sys.modules[module], "__file__", None):
        files.append(Path(own))
    return code_sha256(file.read_text(encoding="utf-8") for file in files)


class _Computed(ast.NodeTransformer):
    """Drops docstrings, and other statements that compute nothing."""

    def visit_Expr(self, node):
        return None if isinstance(node.value, ast.Constant) else node


def code_sha256(sources):
    """Return the sha256 of Python code, an iterable of str; comments and docstrings don't count."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(ast.dump(_Computed().visit(ast.parse(source))).encode())
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
