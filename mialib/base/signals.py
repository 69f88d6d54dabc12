"""Ctrl-C and SIGTERM: what was started ends too, and what is half-done is cleared away."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

STOPS = (signal.SIGINT, signal.SIGTERM)

PATIENCE = 3
"""Seconds that what was started has to end by itself."""

PERIOD = 0.5
"""Seconds between two looks of a worker at whether it still works for anybody."""


class _Stop:
    """A handler of signals that ends what this process started, then raises a KeyboardInterrupt with their number."""

    def __init__(self):
        self._owner = os.getpid()

    def __call__(self, number, _):
        if os.getpid() != self._owner:  # a fork of it, which has nothing to clear away
            os._exit(128 + number)
        for each in STOPS:  # a second one ends this at once
            signal.signal(each, signal.SIG_DFL)
        _end_children()
        raise KeyboardInterrupt(number)


@contextmanager
def stoppable():
    """Have SIGINT and SIGTERM end all that this process started, then raise a KeyboardInterrupt with their number here.

    Only the main thread can; one that is ignored, as in the background of a shell, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPS}
    stop = _Stop()
    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def end_with_parent():
    """End this process, whatever it does, soon after the one that started it is gone, even killed.

    A worker process of joblib whose parent was killed would go on with its task, for hours maybe, and then wait for
    another. Where processes get no new parent, such as on Windows, nothing is done.
    """
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(PERIOD)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def call(function, *arguments, **more):
    """Return what a function returns that would take over the signals of `stoppable`: there, in a thread, it cannot."""
    if not isinstance(signal.getsignal(signal.SIGTERM), _Stop):
        return function(*arguments, **more)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments, **more).result()


def _end_children():
    """End all processes below this one but the trackers of resources, which clear up after it and end by themselves."""
    try:
        import psutil
    except ImportError:  # it comes with the extras whose work starts processes
        return
    started = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "resource_tracker" not in " ".join(process.cmdline()):
                process.terminate()
                started.append(process)
    latest = time.monotonic() + PATIENCE
    while (started := list(filter(_runs, started))) and time.monotonic() < latest:
        time.sleep(0.02)
    for process in started:
        with suppress(psutil.Error):
            process.kill()


def _runs(process):
    import psutil

    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
