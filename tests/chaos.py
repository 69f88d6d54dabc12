"""Kill commands at random moments and start them again: ``python tests/chaos.py --kills 100 --seed 0``.

Each chain starts a verb in a clone of what is committed, kills it (the process alone, its group, or all that it
started), starts it again, and lets it end at last. Then the checkout, the outputs and the cache must hold the files
that they hold after a run that nobody disturbed, the same but for times, and no process may be left. Needs Linux.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
MARK = "MIALIB_CHAOS"
"""Environment variable that all processes of a chain inherit."""

TINY = {"source": "stand-in", "size": 100, "n_shadow": 2, "epochs": 2, "early_epochs": 1}
"""Parameters with which the chapter on locations takes seconds, most of them to start."""

VERBS = {
    "run": ["run", "location", *(word for item in TINY.items() for word in ("-p", "{}={}".format(*item)))],
    "record": ["record", "location", "--profile", "tiny", "--seeds", "1"],
    "audit": ["audit", "--example", "example", "--shadows", "2"],
    "refresh": ["refresh", "scoreboard"],
    "overview": ["run", "scoreboard"],
}
"""The last is the shortest: it trains nothing."""

BYTECODE = "__pycache__"

PER_CHAIN = 5
"""Kills in a chain at most."""

LONGEST = 600
"""Seconds that a verb may take."""

GRACE = 15
"""Seconds that processes have to notice that who started them is gone."""

VARY = {"date", "seconds", "CPU seconds", "peak memory in MiB", "models from the cache"}
VARY |= {"multiplications a core-second"}
"""What differs in JSON between two runs of the same."""


@dataclass
class Tally:
    """What came of the chains of one verb."""

    chains: int = 0
    kills: int = 0
    same: int = 0
    seconds: float = 0.0
    faults: list = field(default_factory=list)


def git(folder, *words):
    """Run git in a folder."""
    name = ["-c", "user.name=chaos", "-c", "user.email=chaos@example.org"]
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


def clone(folder):
    """Return a clone of what is committed, with a tiny profile."""
    checkout = folder / "checkout"
    git(folder, "clone", "--quiet", "--shared", str(ROOT), str(checkout))
    profile = checkout / "book" / "profiles" / "tiny" / "location.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("".join(f"{name}: {value}\n" for name, value in TINY.items()), encoding="utf-8")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "-m", "a tiny profile")
    return checkout


class Chain:
    """A verb in a checkout that is as it was cloned, with an empty cache, and an empty folder to work in."""

    def __init__(self, folder, checkout, verb):
        git(checkout, "reset", "--quiet", "--hard")
        git(checkout, "clean", "-ffdxq", "--exclude", BYTECODE)
        self.verb, self.checkout, self.mark = verb, checkout, f"{random.getrandbits(64):x}"
        self.folders = {"checkout": checkout, "outputs": folder / "outputs", "cache": folder / "cache"}
        for name in ("outputs", "cache"):
            shutil.rmtree(self.folders[name], ignore_errors=True)
            self.folders[name].mkdir()
        own = {"MIALIB_CACHE": folder / "cache", "PYTHONPATH": checkout}
        for name in ("TMPDIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):  # nothing of it in the user's own
            own[name] = folder / name
            own[name].mkdir(exist_ok=True)
        self.environment = os.environ | {name: str(path) for name, path in own.items()} | {MARK: self.mark}
        self.environment.pop("MIALIB_DATA", None)

    def start(self):
        """Start the verb in a group of processes of its own."""
        code = "import sys; from mialib.cli.main import main; sys.exit(main())"
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        options = {"cwd": self.folders["outputs"], "env": self.environment, "start_new_session": True, **quiet}
        return subprocess.Popen([sys.executable, "-c", code, *VERBS[self.verb]], **options)

    def end(self):
        """Let the verb end; return the seconds that it took. A RuntimeError says that it failed."""
        started, process = time.monotonic(), self.start()
        try:
            _, errors = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"did not end in {LONGEST} s") from None
        if process.returncode:
            last = errors.decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"ended with {process.returncode}: {' '.join(last)}")
        return time.monotonic() - started

    def kill(self, after, whom):
        """Start the verb and kill it so many seconds later; return whether it still ran."""
        process = self.start()
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            for pid in {"process": [process.pid], "group": [-process.pid], "all": self.alive()}[whom]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            return True
        finally:
            process.stderr.close()
        return False

    def alive(self):
        """Return the ids of processes of this chain."""
        return [int(of.parent.name) for of in Path("/proc").glob("[0-9]*/environ") if self.mark in _read(of)]

    def left(self, grace=GRACE):
        """Return the ids of processes that are still there after so many seconds, and end them."""
        latest = time.monotonic() + grace
        while (pids := self.alive()) and time.monotonic() < latest:
            time.sleep(0.1)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pids

    def found(self):
        """Return what is in the folders (dict of str by path), in a checkout only what git does not know so."""
        listed = subprocess.run(
            ["git", "status", "--porcelain", "--ignored", "--untracked-files=all", "-z"],
            cwd=self.checkout,
            check=True,
            capture_output=True,
            text=True,
        )
        paths = {"checkout": [self.checkout / line[3:] for line in listed.stdout.split("\0") if line]}
        for name in ("outputs", "cache"):
            paths[name] = [path for path in self.folders[name].rglob("*") if path.is_file() or not any(path.iterdir())]
        return {
            f"{name}/{path.relative_to(self.folders[name])}": content(path)
            for name in paths
            for path in paths[name]
            if BYTECODE not in path.parts and path.name != "times.json"  # of seconds, which may be those committed
        }


def _read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def content(path):
    """Return what a file holds that must be the same in each run."""
    if path.is_dir():
        return "a folder"
    if path.suffix == ".skops" or path.name in ("took.json", "times.json"):  # addresses in memory; seconds
        return ""
    if path.suffix == ".ipynb":  # how often Python repeats a warning hangs on what was imported when
        notebook = json.loads(path.read_bytes())
        for cell in notebook["cells"]:
            cell["outputs"] = [of for of in cell.get("outputs", ()) if of.get("name") != "stderr"]
        return json.dumps(notebook, sort_keys=True).encode()
    if path.suffix == ".json":
        return json.dumps(_same(json.loads(path.read_text(encoding="utf-8"))))
    data = path.read_bytes()
    if path.suffix == ".html":
        data = re.sub(rb"\d{4}-\d\d-\d\d.\d\d:\d\d(:\d\d\+00:00)?|\b[0-9a-f]{64}\b", b"", data)
    return data


def _same(value):
    """Return parsed JSON without what varies; of the model of the example, the size varies with its checksum."""
    if isinstance(value, dict):
        skops = str(value.get("name", "")).endswith(".skops")
        vary = VARY | ({"sha256", "bytes"} if skops else set())
        return {name: _same(of) for name, of in value.items() if name not in vary}
    return [_same(of) for of in value] if isinstance(value, list) else value


def differences(before, after):
    """Return what is not as in a run that nobody disturbed, a list of str."""
    said = [f"left {path}" for path in sorted(after.keys() - before.keys())]
    said += [f"lacks {path}" for path in sorted(before.keys() - after.keys())]
    return said + [f"another {path}" for path in sorted(before.keys() & after.keys()) if before[path] != after[path]]


def torment(folder, checkout, verb, kills, rng, say=print):
    """Kill a verb so often, in chains, and return the `Tally`."""
    tally, began = Tally(), time.monotonic()
    undisturbed = Chain(folder, checkout, verb)
    try:
        takes = undisturbed.end()
    finally:
        undisturbed.left(grace=0)
    before = undisturbed.found()
    while tally.kills < kills:
        chain, did = Chain(folder, checkout, verb), []
        try:
            for _ in range(min(PER_CHAIN, kills - tally.kills)):
                after, whom = rng.uniform(0, takes), rng.choice(("process", "group", "all"))
                if not chain.kill(after, whom):
                    break
                did.append(f"{whom} after {after:.1f} s")
            chain.end()
            pids = chain.left()
            found = [f"{len(pids)} processes live on"] * bool(pids) + differences(before, chain.found())
        except RuntimeError as error:
            found = [str(error)]
        finally:
            chain.left(grace=0)
        tally.chains, tally.kills, tally.same = tally.chains + 1, tally.kills + len(did), tally.same + (not found)
        tally.faults += found
        say(f"mia {verb}: killed {', '.join(did) or 'never'}: {'; '.join(found) or 'the same'}", flush=True)
    tally.seconds = time.monotonic() - began
    return tally


def main(words=None):
    """Kill as often as is said; print a table, and return 1 if anything came out otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="over all verbs")
    parser.add_argument("--seed", type=int, default=0, help="decides when, and whom")
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=list(VERBS)[:4])
    arguments = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended, and cleared away
    rng, tallies = random.Random(arguments.seed), {}
    with tempfile.TemporaryDirectory(prefix="mialib-chaos-") as name:
        folder = Path(name).resolve()
        checkout = clone(folder)
        for i, verb in enumerate(arguments.verbs):
            share = (arguments.kills * (i + 1)) // len(arguments.verbs) - sum(of.kills for of in tallies.values())
            tallies[verb] = torment(folder, checkout, verb, share, rng)
    print(f"\n{'verb':8} {'kills':>5} {'chains':>6} {'same':>5} {'faults':>6} {'seconds':>7}")
    for verb, of in tallies.items():
        print(f"{verb:8} {of.kills:5} {of.chains:6} {of.same:5} {len(of.faults):6} {of.seconds:7.0f}")
    return int(any(of.faults for of in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
