"""How long a command takes, and how much memory."""

import subprocess
import time
from contextlib import suppress

import psutil


def watched(command, **more):
    """Return the seconds that a command takes, and the MiB that it and its children have at most."""
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, **more) as process:
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return time.perf_counter() - started, peak / 2**20


def memory(pid):
    """Return the bytes that a process and its children have to themselves, shared pages counted by share."""
    total = 0
    with suppress(psutil.Error):  # it has ended
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total
