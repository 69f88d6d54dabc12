"""One chapter in a process of its own: run, and measured while it runs."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time

import psutil

from mialib.cache import USED
from mialib.chapters import ChapterError, execute
from mialib.costs import multiplications_a_core_second

PERIOD = 0.2
"""Seconds between two looks at what the chapter takes."""


class Meter:
    """Watches this process and all that it starts.

    Attributes
    ----------
    peak : int
        Most bytes of memory that all of them held together; what they share counts for each.
    """

    def __init__(self):
        self._process, self._parent = psutil.Process(), os.getppid()
        self.peak, self._cpu = 0, {}
        self.look()
        self._before = sum(self._cpu.values())

    @property
    def cpu_seconds(self):
        """Seconds of processor time of all of them, since the watch began (float)."""
        return sum(self._cpu.values()) - self._before

    def look(self):
        """Take note of what they hold and took."""
        held = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                with process.oneshot():
                    held += process.memory_info().rss
                    times = process.cpu_times()
                    self._cpu[process.pid, process.create_time()] = times.user + times.system
            except psutil.Error:
                continue
        self.peak = max(self.peak, held)

    def watch(self):
        """Look from time to time; end all of them if the process that started this one is gone."""
        while True:
            self.look()
            if os.getppid() != self._parent:
                for process in self._process.children(recursive=True):
                    process.kill()
                os._exit(1)
            time.sleep(PERIOD)


def measured(source, output, parameters, environment=None):
    """Run a notebook and return what that took.

    Parameters
    ----------
    source, output : path
    parameters : dict
    environment : dict of str to str, optional
        Variables to set besides one's own.

    Returns
    -------
    dict
        ``seconds``, ``CPU seconds``, ``peak memory in MiB`` and ``models``, trained or from the cache;
        ``multiplications a core-second`` that the machine made just before, and its ``cores``.

    Raises
    ------
    mialib.chapters.ChapterError
        With the message of the cell that failed. There is no output then.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "mialib.measured", source, output],
        input=json.dumps(parameters),
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"its process ended with {ended.returncode}"])[-1]
        raise ChapterError(last)
    return json.loads(ended.stdout.splitlines()[-1])


def main(source, output):
    """Run a notebook with the parameters of standard input; write what it took to standard output."""
    rate = round(multiplications_a_core_second())
    meter, started = Meter(), time.monotonic()
    threading.Thread(target=meter.watch, daemon=True).start()
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as used:
        os.environ[USED] = used.name
        try:
            execute(source, output, json.load(sys.stdin))
        except ChapterError as error:
            print(" ".join(str(error).split()), file=sys.stderr)
            return 1
        meter.look()
        took = {
            "seconds": round(time.monotonic() - started, 1),
            "CPU seconds": round(meter.cpu_seconds, 1),
            "peak memory in MiB": meter.peak // 2**20,
            "models": len(set(used.read().split())),
            "multiplications a core-second": rate,
            "cores": os.cpu_count(),
        }
    print(json.dumps(took))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
