"""Model files that may run code, opened in a process without rights: whatever they do touches nothing.

The process computes and reads Python and the file; see `mialib.submission.rights`. What it says is anybody's: it comes
as JSON and plain numbers, never as a pickle, and is believed only in the form that an answer has.
"""

import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import mialib
from mialib.submission import rights
from mialib.submission.confined import HEAD
from mialib.submission.outputs import Output
from mialib.submission.subjects import Subject

SECONDS = 600
"""How long the process may take to open the file, and for each question."""

MOST_TEXT, MOST_NUMBERS = 1 << 24, 1 << 30
"""Bytes of JSON and of numbers that are taken of one reply."""

REMARK = (
    "The model was asked in a process without rights to files, network and other processes. It stays there: shadow "
    "models are not trained as it was, unless --train or --like says how."
)

CHILD = "from mialib.submission.confined import main; main()"

_KEPT = ("LD_LIBRARY_PATH", "KERAS_BACKEND", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Of the environment, what the process has too; keys and passwords stay here."""


def open_isolated(path, opening):
    """Return the model of a file, opened in a process without rights; a ValueError if there can be none."""
    if why := rights.missing():
        raise ValueError(f"{path} cannot be opened with --isolated here: {why}; take ONNX, or a machine that can")
    confined = _Confined(path)
    facts, _ = confined.exchange(opening)
    with confined.believing():
        return _subject(path, opening, facts, confined.ask)


class _Confined:
    """The parent's end of a process in which a file is opened; the process ends with it."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()
        packages = Path(mialib.__file__).parent
        places = [os.path.abspath(of) for of in sys.path if of]
        order = {
            "path": str(path),
            # By its thread's end a process that another thread started would end too early.
            "parent": os.getpid() if threading.current_thread() is threading.main_thread() else None,
            "readable": [
                *rights.READABLE,
                *{sys.prefix, sys.base_prefix, sys.exec_prefix, str(packages)},
                *(of for of in places if of.endswith(("site-packages", "dist-packages"))),
                *map(str, _own_files(Path(path))),
            ],
        }
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {"PATH": os.defpath, "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
        # Libraries want a folder that is there before they start, if only to look; nothing can be written into it.
        places_of_caches = ("TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "MPLCONFIGDIR")
        environment |= dict.fromkeys(places_of_caches, tempfile.gettempdir())
        environment["PYTHONPATH"] = os.pathsep.join([*places, str(packages.parent)])
        words = [sys.executable, "-P", "-s", "-B", "-c", CHILD]
        pipe, silent = subprocess.PIPE, subprocess.DEVNULL
        self.process = subprocess.Popen(
            [*words, json.dumps(order)],
            stdin=pipe,
            stdout=pipe,
            stderr=silent,
            env=environment,
            start_new_session=True,
        )
        self._end = weakref.finalize(self, _end, self.process)

    def exchange(self, question):
        """Return the reply to a question, what is said (dict) and numbers (bytes); a ValueError if there is none."""
        with self.lock, self.believing():
            started, timer = time.monotonic(), threading.Timer(SECONDS, self.process.kill)
            timer.start()
            try:
                if not self._end.alive:
                    raise EOFError
                pickle.dump(question, self.process.stdin, pickle.HIGHEST_PROTOCOL)
                self.process.stdin.flush()
                sizes = HEAD.unpack(self._read(HEAD.size))
                _check(sizes[0] <= MOST_TEXT and sizes[1] <= MOST_NUMBERS)
                text, numbers = map(self._read, sizes)
            except (EOFError, OSError) as error:
                self._end()
                slow = time.monotonic() - started >= SECONDS
                how = f"did not answer within {SECONDS} s" if slow else "has ended; it may lack a right, or memory"
                raise _EndedError(f"{self.path}: the process without rights that runs it {how}") from error
            finally:
                timer.cancel()
            said = json.loads(text)
            _check(isinstance(said, dict))
        if "error" in said:
            raise ValueError(_sentence(said["error"]))
        return said, numbers

    def _read(self, n):
        found = self.process.stdout.read(n)
        if len(found) < n:
            raise EOFError
        return found

    def ask(self, x):
        """Return what the model says about records."""
        said, numbers = self.exchange(x)
        with self.believing():
            remarks = tuple(map(_sentence, _listed(said["remarks"])))
            if "labels" in said:
                return Output(np.array(_scalars(said["labels"])), remarks)
            form, shape = said["form"], _listed(said["shape"])
            _check(form in ("<f4", "<f8", "<i8") and len(shape) <= 4 and all(map(_is_count, shape)))
            _check(math.prod(shape) * np.dtype(form).itemsize == len(numbers))
            return Output(np.frombuffer(numbers, form).reshape(shape), remarks)

    @contextmanager
    def believing(self):
        """Let what cannot be understood end the process, in one sentence."""
        try:
            yield
        except _EndedError:
            raise
        except Exception as error:  # whatever it makes of a reply, which is anybody's
            self._end()
            raise ValueError(f"{self.path}: what the process that runs it says is no answer") from error


class _EndedError(ValueError):
    """The process is gone."""


def _end(process):
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):  # what it has not read is lost
            pipe.close()


def _own_files(path):
    """Return a file, and the weights that ONNX keeps beside it."""
    beside = [path.with_name(path.name + more) for more in (".data", "_data")]
    return [path.resolve(), *(of.resolve() for of in beside if path.suffix == ".onnx" and not of.is_symlink())]


def _subject(path, opening, facts, ask):
    """Return the subject that the facts describe; an error of any kind if they are not what facts are."""
    classes, names = (None if facts[of] is None else _scalars(facts[of]) for of in ("classes", "names"))
    n_features = facts["n_features"]
    _check(n_features is None or _is_count(n_features))
    _check(facts["task"] in ("classification", "regression"))
    flags = {of: facts[of] for of in ("label_only", "partial", "logits", "rounded")}
    _check(all(isinstance(of, bool) for of in flags.values()))
    return Subject(
        Path(path).name,
        ask,
        opening.stand_in,
        None if classes is None else np.array(classes),
        flags["partial"],
        None if names is None else np.array(list(map(str, names)), object),
        n_features,
        {name: _kind(of) for name, of in facts["kinds"].items()},
        (*map(_sentence, _listed(facts["remarks"])), REMARK),
        facts["task"],
        replace(opening, logits=flags["logits"], rounded=flags["rounded"]),
        flags["label_only"],
    )


def _kind(said):
    if isinstance(said, str):
        _check(said in ("number", "text", "category"))
        return said
    return pd.CategoricalDtype(_scalars(said["categories"]), said["ordered"] is True)


def _scalars(said):
    """Return a list of what classes can be called."""
    _check(all(isinstance(of, str | int | float) for of in _listed(said)))
    return said


def _listed(said):
    _check(isinstance(said, list))
    return said


def _is_count(said):
    return type(said) is int and 0 <= said < 1 << 40


def _sentence(said):
    """Return a sentence of the process in at most 700 letters, without signs that steer a terminal."""
    _check(isinstance(said, str))
    return "".join(sign if sign.isprintable() else " " for sign in said[:700])


def _check(holds):
    if not holds:
        raise ValueError("a reply has another form")
