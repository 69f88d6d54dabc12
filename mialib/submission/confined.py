"""The process without rights in which a model file is opened: it gives its rights up, and then answers questions.

It is started with the file, its parent and what may be read, as JSON; it reads questions as pickles, from a parent that
it trusts, and replies in JSON and plain numbers, which the parent checks. See `mialib.submission.isolation`.
"""

import ctypes.util
import json
import os
import pickle
import struct
import sys
import tempfile

from mialib.submission import rights

HEAD = struct.Struct("<QQ")
"""Before each reply: how many bytes of JSON follow, and how many of numbers."""


def main():
    """Serve one parent till it asks no more, or is gone."""
    order = json.loads(sys.argv[1])
    questions, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silent = os.open(os.devnull, os.O_RDWR)
    for place in (0, 1, 2):  # what the model's own code prints is no reply
        os.dup2(silent, place)
    try:
        rights.drop(order["readable"], order["parent"])
    except OSError as error:
        return _reply(replies, {"error": f"a process could not be left without rights ({error})"})
    # Libraries cannot start a compiler here, to find others, nor try whether they can write into a folder.
    ctypes.util.find_library, tempfile.tempdir = lambda name: None, os.environ["TMPDIR"]
    try:
        subject = _opened(order["path"], pickle.load(questions))  # noqa: S301  # nosec: of the parent, which is trusted
        _reply(replies, _facts(subject))
    except BaseException as error:
        return _reply(replies, _error(error))
    while True:
        try:
            x = pickle.load(questions)  # noqa: S301  # nosec
        except EOFError:
            return None
        try:
            _reply(replies, *_answer(subject, x))
        except BaseException as error:
            _reply(replies, _error(error))


def _opened(path, opening):
    from mialib.submission.openers import open_here

    return open_here(path, opening)


def _reply(replies, said, numbers=b""):
    """Send what is said, and the bytes of an array if there is one."""
    said = json.dumps(said, default=_plain).encode()
    replies.write(HEAD.pack(len(said), len(numbers)) + said)
    replies.write(numbers)
    replies.flush()


def _plain(value):
    """Return a number of NumPy as one of Python, and whatever else a class is called by as text."""
    return value.item() if hasattr(value, "item") else str(value)


def _error(error):
    return {"error": str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"}


def _facts(subject):
    """Return what a subject knows of its records and answers."""
    listed = {"classes": subject.classes, "names": subject.names}
    facts = {name: None if of is None else list(of) for name, of in listed.items()}
    for name in ("n_features", "task", "label_only", "partial", "remarks"):
        facts[name] = getattr(subject, name)
    facts |= {name: getattr(subject.opening, name) for name in ("logits", "rounded")}
    facts["kinds"] = {
        name: kind if isinstance(kind, str) else {"categories": list(kind.categories), "ordered": bool(kind.ordered)}
        for name, kind in subject.kinds.items()
    }
    return facts


def _answer(subject, x):
    """Return what a subject says about records: remarks with labels, or with the form of the numbers and these."""
    from mialib.submission.outputs import taken

    array, remarks = taken(subject.ask(x), len(x), subject.classes)
    said = {"remarks": remarks}
    if array.dtype.kind not in "fiub":
        return said | {"labels": array.ravel().tolist()}, b""
    form = "<i8" if array.dtype.kind != "f" else "<f8" if array.dtype.itemsize > 4 else "<f4"
    return said | {"form": form, "shape": array.shape}, array.astype(form).tobytes()
