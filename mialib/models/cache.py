"""Trained models on disk, found by everything that decides them.

A model's key is the sha256 of its records, its recipe, its seed, the code that trains and the
versions underneath. An entry is there whole or not at all, and has a sha256 of its content. Entries
of before that are believed without one.
"""

import ast
import hashlib
import io
import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import torch

from mialib.base.files import sweep, warn_once, write_files
from mialib.base.machine import cache_dir

USED = "MIALIB_USED"
"""Environment variable: a file to which the keys of models are added, a line each, as they are found or kept."""

SEALED = "sealed.npz"
"""How the name of an entry ends that has a checksum; those of before it are plain ``.npz``."""


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
        with suppress(OSError), open(listed, "a", encoding="utf-8") as file:
            file.write(f"{key}\n")


def _seal(key, parameters):
    """Return the sha256 of an entry: of its key, and of type, shape and bytes of the parameters."""
    content = np.asarray(parameters)
    return hashlib.sha256(f"{key} {content.dtype.str} {content.shape} ".encode() + content.tobytes()).hexdigest()


class ModelCache:
    """A folder of trained models. What a killed run left half-written is swept out.

    Where the folder cannot be written, models are not kept: a UserWarning says so once.

    Parameters
    ----------
    folder : path, optional
        By default ``models`` in the folder ``MIALIB_CACHE``, or in the user's cache.
    """

    def __init__(self, folder=None):
        self.folder = Path(folder) if folder else cache_dir() / "models"
        for folder in self.folder.glob("*"):
            sweep(folder)

    def path(self, key):
        """Return where the entry of this key stands, or would."""
        unsealed = self._of(key, "npz")
        return unsealed if unsealed.exists() and not self._of(key).exists() else self._of(key)

    def _of(self, key, suffix=SEALED):
        return self.folder / key[:2] / f"{key}.{suffix}"

    def get(self, key):
        """Return a model's parameters, or None. An entry that is damaged, or another's, is removed: it is absent."""
        path = self.path(key)
        try:
            with np.load(path, allow_pickle=False) as entry:
                parameters = entry["parameters"]
                if path == self._of(key) and str(entry["seal"]) != _seal(key, parameters):
                    raise ValueError("not what was put here")
        except FileNotFoundError:
            return None
        except Exception:  # zipfile and numpy raise many kinds for what is no archive of theirs
            with suppress(OSError):
                path.unlink()
            return None
        _note(key)
        return parameters

    def put(self, key, parameters):
        """Store a model's parameters, an ndarray of float32; all of it or, if that fails, nothing."""
        entry = io.BytesIO()
        np.savez(entry, parameters=parameters, seal=_seal(key, parameters))
        try:
            write_files({self._of(key): entry.getvalue()})
        except OSError as error:
            warn_once(self.folder, f"trained models are not kept, and are trained again next time: {error}")
        _note(key)

    def size(self):
        """Return the number of models kept, and the bytes they take."""
        sizes = [path.stat().st_size for path in self.folder.glob("*/*.npz")]
        return len(sizes), sum(sizes)

    def clear(self):
        """Remove all models."""
        shutil.rmtree(self.folder, ignore_errors=True)
