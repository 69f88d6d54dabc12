"""Damage files of every kind that people bring, and open them as `mia` does: ``python tests/fuzz_files.py``.

A damaged file is read anyway, or ends in one sentence with its name. What else comes of it is a failure: a traceback,
a sentence without the name or of several lines, a library that crashes, 20 seconds without an end, or more than twice
the memory that a process has which opened every sound file. Each is printed with the number of the file, and ``--only
NUMBER`` (and the same ``--seed``) writes that file, opens it in this process and shows what is raised.
"""

import argparse
import contextlib
import faulthandler
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from damage import damaged
from sound_files import TABLE, X, sound

from mialib.auditing.audit import audit_saved
from mialib.datasets import catalog
from mialib.datasets.files import DataError
from mialib.submission.columns import align
from mialib.submission.inputs import Records, apart
from mialib.submission.labels import class_numbers
from mialib.submission.openers import open_file
from mialib.submission.saved import SavedAnswers
from mialib.submission.subjects import Opening

LONGEST = 20  # seconds that a file may take
ROOM = 2 << 30  # bytes of address space that a process may ask for beyond what it has
LIBRARIES = ["catboost", "fuzz_files", "keras", "lightgbm", "onnxruntime", "pandas", "skops.io", "torch", "xgboost"]
"""Imported once, in a process that those which open files are forked from."""

TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)
"""Types of scikit-learn that a user may trust: they run no code of the file's."""


def model(path, folder):
    """Open a model and ask it about records."""
    subject = open_file(path, Opening(logits=path.suffix == ".safetensors", trust=TRUSTED))
    return lambda: subject.answers(X if subject.names is None else TABLE)


def records(path, folder):
    """Read records, and bring them into the form of others."""
    part = Records.from_file(path)

    def used():
        other = Records.from_file(folder / f"others{path.suffix}")
        parts, _ = align({"in": part, "out": other})
        apart(parts["in"], parts["out"], ("in", "out"), True)
        class_numbers(part.labels, 2)

    return used


def saved(path, folder):
    """Read saved answers, and audit them."""
    answers = SavedAnswers.from_file(path)
    return lambda: audit_saved(answers, path.name)


def bare(path, folder):
    """Read answers in a file without names of columns."""
    answers = SavedAnswers.from_files(folder / "bare.csv", path)
    return lambda: audit_saved(answers, path.name)


def own(path, folder):
    """Load a data set from a file of the user's."""
    name = "location" if path.name == "bangkok" else "purchase"
    reader, shape = catalog.readers()[name], (len(X), 3)
    with (
        _changed(catalog.readers(), name, replace(reader, shapes=(shape,), sha256=None)),
        _changed(os.environ, "MIALIB_DATA", str(path.parent)),
    ):
        catalog.load(name)
    return lambda: None


@contextlib.contextmanager
def _changed(mapping, key, value):
    before = mapping.get(key)
    mapping[key] = value
    try:
        yield
    finally:
        if before is None:
            del mapping[key]
        else:
            mapping[key] = before


DOORS = {door.__name__: door for door in (model, records, saved, bare, own)}


def tried(door, path, folder):
    """Return what comes of a file at a door, and what is said: ``read``, ``sentence``, or a failure."""
    use = None
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            use = DOORS[door](path, folder)
            use()
    except (ValueError, DataError) as error:
        said, chain = str(error).replace(f"{path.parent}{os.sep}", ""), error
        while chain is not None:
            if isinstance(chain, MemoryError) or "bad_alloc" in str(chain) or "Unable to allocate" in str(chain):
                return "memory", said[:300]
            chain = chain.__cause__ or chain.__context__
        if type(error) not in (ValueError, DataError) or "\n" in said or len(said) >= 500:
            return "no sentence", f"{type(error).__name__}: {said[:300]!r} ({len(said)} letters)"
        # Records that were read may not fit others; those of a model say whose they are.
        if path.name not in said and (use is None or door == "model"):
            return "no name", said
        return "sentence", said
    except BaseException as error:  # a panic of Rust is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "traceback", f"{type(error).__name__}: {str(error)[:200]!r} in {where.filename[-50:]}:{where.lineno}"
    return "read", ""


def of_kinds(doors, kinds):
    """Return the names of the files that have one of these endings, by their doors."""
    return {door: [name for name in names if not kinds or name.endswith(kinds)] for door, names in doors.items()}


def make(index, seed, folder, doors):
    """Write the damaged file of this number; return its door, the name of the sound one, and its path."""
    files = [(door, name) for door, names in doors.items() for name in names]
    door, name = files[index % len(files)]
    rng = np.random.default_rng([seed, index])
    path = folder / "damaged" / name
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.iterdir():
        old.unlink()
    path.write_bytes(damaged(rng, name, (folder / name).read_bytes()))
    return door, name, path


def _work(pipe, folder, doors, limited):
    """Open the files that come through a pipe; the first answer is the memory that every sound one took."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    for door, names in doors.items():
        for name in names:
            tried(door, folder / name, folder)
    if limited and Path("/proc/self/statm").exists():
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    pipe.send(_peak())
    while True:
        door, path = pipe.recv()
        pipe.send((*tried(door, path, folder), _peak()))


def _peak():
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Worker:
    """A process that opens files, and is replaced when it crashes, hangs or takes too much memory."""

    def __init__(self, folder, doors):
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(LIBRARIES)
        self.folder, self.doors, self.process = folder, doors, None
        self.start()
        self.idle, self.most = self.peak, self.peak

    def start(self):
        self.pipe, other = self.context.Pipe()
        self.process = self.context.Process(target=_work, args=(other, self.folder, self.doors, True), daemon=True)
        self.process.start()
        other.close()
        self.peak = self.pipe.recv()

    def stop(self):
        self.process.kill()
        self.process.join()

    def open(self, door, path):
        """Return what comes of a file and what is said."""
        self.pipe.send((door, path))
        if not self.pipe.poll(LONGEST):
            outcome, said = "hang", f"no end after {LONGEST} s"
        else:
            try:
                outcome, said, self.peak = self.pipe.recv()
            except EOFError:
                self.process.join()
                outcome, said = "crash", f"the process ended with {self.process.exitcode}"
        self.most = max(self.most, self.peak)
        if self.peak > 2 * self.idle:
            outcome, said = "memory", f"{self.peak / 2**20:.0f} MiB, {self.idle / 2**20:.0f} idle; {outcome}: {said}"
        if outcome in ("hang", "crash") or self.peak > 2 * self.idle:
            self.stop()
            self.start()
        return outcome, said


def fuzz(n, seed, folder, start=0, kinds=()):
    """Open n damaged files; print what came of them, and return how many failed."""
    doors = of_kinds(sound(folder), kinds)
    worker, counts, failures, began = Worker(folder, doors), defaultdict(Counter), [], time.monotonic()
    for index in range(start, start + n):
        door, name, path = make(index, seed, folder, doors)
        outcome, said = worker.open(door, path)
        counts[f"{door} {name}"][outcome] += 1
        if outcome not in ("read", "sentence"):
            failures.append(f"{index} {door} {name}: {outcome}: {said}".replace(str(folder), ""))
            print(failures[-1], file=sys.stderr, flush=True)
    worker.stop()
    worst = ("traceback", "no sentence", "no name", "crash", "hang", "memory")
    print(f"{'':30}{'tried':>8}{'read':>8}{'sentence':>10}" + "".join(f"{of:>13}" for of in worst))
    total = sum(counts.values(), Counter())
    for kind, of in [*sorted(counts.items()), ("all", total)]:
        row = f"{kind:30}{of.total():8}{of['read']:8}{of['sentence']:10}"
        print(row + "".join(f"{of[outcome] or '':>13}" for outcome in worst))
    print(
        f"{n} files, seed {seed}, {time.monotonic() - began:.0f} s; memory {worker.idle / 2**20:.0f} MiB idle, "
        f"{worker.most / 2**20:.0f} MiB at most"
    )
    return len(failures)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one file, which is kept and opened in this process")
    parser.add_argument("--kinds", nargs="*", default=(), help="endings of the files that are damaged")
    arguments = parser.parse_args()
    kinds = tuple(arguments.kinds)
    if arguments.only is None:
        with tempfile.TemporaryDirectory() as folder:
            sys.exit(1 if fuzz(arguments.n, arguments.seed, Path(folder), arguments.start, kinds) else 0)
    folder = Path(tempfile.mkdtemp())
    door, _, path = make(arguments.only, arguments.seed, folder, of_kinds(sound(folder), kinds))
    print(door, path, flush=True)
    faulthandler.enable()
    faulthandler.dump_traceback_later(LONGEST)
    print(*tried(door, path, folder))
    DOORS[door](path, folder)()


if __name__ == "__main__":
    main()
