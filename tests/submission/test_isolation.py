import json
import os
import pickle
import platform
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mialib.submission import isolation, rights
from mialib.submission.openers import open_file
from mialib.submission.subjects import Opening

ISOLATED = Opening(isolated=True)
here = pytest.mark.skipif(rights.missing() is not None, reason=f"{rights.missing()}")

SOURCE = """
import ctypes, io, os, resource, socket, sys, threading, time


def tries(folder, script):
    victim, new = folder + "/victim", folder + "/new"
    import torch

    return {
        "write": lambda: open(new, "w"),
        "append": lambda: open(victim, "a"),
        "read": lambda: open(victim).read(),
        "list": lambda: os.listdir(folder),
        "empty": lambda: os.truncate(victim, 0),
        "empty by opening": lambda: os.open(os.__file__, os.O_RDONLY | os.O_TRUNC),
        "remove": lambda: os.remove(victim),
        "rename": lambda: os.rename(victim, new),
        "link": lambda: os.link(victim, new),
        "symlink": lambda: os.symlink(victim, new),
        "folder": lambda: os.mkdir(new),
        "mode": lambda: os.chmod(victim, 0o777),
        "owner": lambda: os.chown(victim, 1, 1),
        "time": lambda: os.utime(victim),
        "attribute": lambda: os.setxattr(victim, "user.a", b"1"),
        "map": lambda: torch.jit.load(io.BytesIO(script))(torch.zeros(1, 2)),
        "socket": lambda: socket.socket(),
        "local socket": lambda: socket.socket(socket.AF_UNIX),
        "pair": lambda: socket.socketpair(),
        "fork": lambda: os.fork(),
        "run": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "become": lambda: os.execv("/bin/true", ["true"]),
        "kill": lambda: os.kill(os.getppid(), 0),
        "spy": lambda: open(f"/proc/{os.getppid()}/environ").read(),
        "limits": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU),
        "more": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1)),
        "secret": lambda: os.environ["MIALIB_API_KEY"],
        "device": lambda: open("/dev/tty"),
        "tmp": lambda: open("/tmp/harm", "w"),
    }


class Model:
    def __init__(self, model, folder, script):
        self.model, self.folder, self.script = model, folder, script
        self.classes_, self.feature_names_in_ = model.classes_, model.feature_names_in_

    def predict(self, x):
        return self.model.predict(x)

    def predict_proba(self, x):
        print("what it prints is no reply", flush=True)
        of = x.iloc[0, 0]
        if of == 666:
            os._exit(0)
        if of == 777:
            time.sleep(600)
        if of == 999:
            done = []
            for name, attempt in tries(self.folder, self.script).items():
                try:
                    attempt()
                    done.append(name)
                except Exception:
                    pass
            raise ValueError("done: " + ",".join(done) + "\\x1b[31m" + "long " * 1000)
        if of == 555:
            found = []
            thread = threading.Thread(target=lambda: found.append(1))
            thread.start()
            thread.join()
            return {"label": ["a"] * len(x), "p": self.model.predict_proba(x)}
        return self.model.predict_proba(x)
"""


class Hostile:
    """Becomes, when its pickle is opened, an object of the `SOURCE`."""

    def __init__(self, *of):
        self.of = of

    def __reduce__(self):
        return eval, ("(exec(source, globals()), Model(*of))[1]", {"source": SOURCE, "of": self.of})


class Maps(torch.nn.Module):
    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, x):
        return x + torch.from_file(self.path, shared=True, size=2).fill_(1.0)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A hostile file in a process without rights, what it should answer, and the folder that it is after."""
    folder = tmp_path_factory.mktemp("isolated")
    (folder / "victim").write_text("mine")
    torch.jit.script(Maps(str(folder / "new"))).save(folder / "m.pt")
    x = pd.DataFrame({"age": np.arange(40.0), "height": np.arange(40.0) % 7})
    model = LogisticRegression().fit(x, np.where(x["height"] > 3, "tall", "short"))
    of = Hostile(model, str(folder), (folder / "m.pt").read_bytes())
    (folder / "m.pkl").write_bytes(pickle.dumps(of))
    os.environ["MIALIB_API_KEY"] = "secret"
    try:
        subject = open_file(folder / "m.pkl", ISOLATED)
    finally:
        del os.environ["MIALIB_API_KEY"]
    return subject, x, model, folder


@here
def test_a_model_answers_from_without_rights_as_it_does_here(opened):
    subject, x, model, _ = opened
    assert subject.name == "m.pkl"
    assert (list(subject.classes), list(subject.names)) == (["short", "tall"], ["age", "height"])
    assert subject.remarks == (isolation.REMARK,)
    assert (subject.estimator, subject.label_only, subject.task) == (None, False, "classification")
    vectors, remarks = subject.answers(x[["height", "age"]].assign(more=1))
    np.testing.assert_array_equal(vectors, model.predict_proba(x).astype(np.float32))
    assert remarks == []
    x = x.assign(age=555.0)
    vectors, _ = subject.answers(x)
    np.testing.assert_array_equal(vectors, model.predict_proba(x).astype(np.float32))


@here
def test_whatever_it_tries_touches_nothing(opened):
    subject, x, _, folder = opened
    before = (folder / "victim").stat()
    with pytest.raises(ValueError, match=r"^done: (\S*) \[31mlong long") as said:
        subject.answers(x.assign(age=999.0))
    assert str(said.value).startswith("done:  [31m")  # nothing at all was done, and no sign steers a terminal
    assert len(str(said.value)) < 800
    assert {path.name for path in folder.iterdir()} == {"victim", "m.pt", "m.pkl"}
    assert (folder / "victim").read_text() == "mine"
    after = (folder / "victim").stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_uid) == (before.st_mode, before.st_mtime_ns, before.st_uid)


@here
def test_a_process_that_is_gone_is_one_sentence(opened):
    subject, x, _, _ = opened
    for _ in range(2):
        with pytest.raises(ValueError, match=r"m\.pkl: the process without rights that runs it has ended; it may lack"):
            subject.answers(x.assign(age=666.0))


def reply(said, numbers=b"", sizes=None):
    said = json.dumps(said).encode()
    return struct.pack("<QQ", *(sizes or (len(said), len(numbers)))) + said + numbers


FACTS = dict.fromkeys(("classes", "names", "n_features"))
FACTS |= dict.fromkeys(("label_only", "partial", "logits", "rounded"), False)
FACTS |= {"task": "classification", "remarks": [], "kinds": {}}
ANSWER = {"remarks": [], "form": "<f4", "shape": [1, 2]}


@pytest.fixture
def lies(tmp_path, monkeypatch):
    """A process that says whatever a test wants, whatever it is asked."""

    def open_(*replies, waits=False):
        (tmp_path / "replies").write_bytes(b"".join(replies))
        words = f"sys.stdout.buffer.write(open({str(tmp_path / 'replies')!r}, 'rb').read()); sys.stdout.close()"
        words += "; time.sleep(60)" if waits else "; sys.stdin.buffer.read()"
        monkeypatch.setattr(isolation, "CHILD", f"import sys, time; {words}")
        monkeypatch.setattr(rights, "missing", lambda: None)
        (tmp_path / "m.pkl").write_bytes(b"a model")
        return open_file(tmp_path / "m.pkl", ISOLATED)

    return open_


NO_FACTS = {
    "a pickle": pickle.dumps(FACTS) * 9,
    "a list": reply([]),
    "nothing": reply({}),
    "another task": reply(FACTS | {"task": "other"}),
    "a negative number": reply(FACTS | {"n_features": -1}),
    "a class that is a list": reply(FACTS | {"classes": [[1], 2]}),
    "the same category twice": reply(FACTS | {"kinds": {"a": {"categories": [1, 1]}}}),
    "a remark that is no text": reply(FACTS | {"remarks": [1]}),
    "too much": reply(FACTS, sizes=(1 << 60, 0)),
    "too deep": struct.pack("<QQ", 100_000, 0) + b"[" * 100_000,
}

NO_ANSWERS = {
    "too few numbers": reply(ANSWER, b"1234"),
    "objects": reply(ANSWER | {"form": "|O"}, bytes(16)),
    "a negative shape": reply(ANSWER | {"shape": [-1, -2]}, bytes(8)),
    "a shape that is none": reply(ANSWER | {"shape": [True, 2]}, bytes(8)),
    "too many numbers": reply(ANSWER, sizes=(10, 1 << 60)),
    "a label that is none": reply({"remarks": [], "labels": [{}]}),
}


@pytest.mark.parametrize("kind", NO_FACTS)
def test_facts_that_are_none_are_one_sentence(lies, kind):
    with pytest.raises(ValueError, match=r"m\.pkl: what the process that runs it says is no answer$"):
        lies(NO_FACTS[kind])


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_answers_that_are_none_are_one_sentence(lies, kind):
    with pytest.raises(ValueError, match=r"m\.pkl: what the process that runs it says is no answer$"):
        lies(reply(FACTS), NO_ANSWERS[kind]).answers(np.zeros((1, 3)))


def test_a_reply_that_is_one_is_taken(lies):
    subject = lies(reply(FACTS), reply(ANSWER | {"remarks": ["so\x1b"]}, np.float32([0.25, 0.75]).tobytes()))
    vectors, remarks = subject.answers(np.zeros((1, 3)))
    assert (vectors.tolist(), remarks) == ([[0.25, 0.75]], ["so "])


def test_a_process_that_hangs_is_ended(lies, monkeypatch):
    monkeypatch.setattr(isolation, "SECONDS", 0.5)
    with pytest.raises(ValueError, match=r"m\.pkl: the process without rights that runs it did not answer within 0\.5"):
        lies(struct.pack("<QQ", 1000, 0), waits=True)


def test_without_a_way_to_take_rights_nothing_is_opened(tmp_path, monkeypatch):
    (tmp_path / "m.pkl").write_bytes(b"a model")
    monkeypatch.setattr(rights, "_version", lambda: -1)
    monkeypatch.setattr(rights, "sys", SimpleNamespace(platform="linux", maxsize=sys.maxsize))
    for machine, why in (("x86_64", "this kernel has no Landlock"), ("riscv64", "only Linux on x86_64 and aarch64")):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        with pytest.raises(ValueError, match=rf"m\.pkl cannot be opened with --isolated here: {why}.*take ONNX"):
            open_file(tmp_path / "m.pkl", ISOLATED)
