import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from mialib.base.signals import call, stoppable


def test_what_takes_over_signals_is_called_where_it_cannot():
    assert call(threading.current_thread) is threading.main_thread()
    with stoppable():
        assert call(threading.current_thread) is not threading.main_thread()
        with pytest.raises(ZeroDivisionError):
            call(divmod, 1, 0)


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_while_something_is_called_is_raised_here():
    with pytest.raises(KeyboardInterrupt) as stop, stoppable():
        call(lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.2)))
    assert stop.value.args == (signal.SIGTERM,)


def test_workers_of_a_killed_process_end_too(tmp_path):
    mark = f"pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()"
    task = f"import mialib, os, pathlib, time; {mark}; time.sleep(99)"
    code = f"import joblib; joblib.Parallel(2, prefer='processes')(joblib.delayed(exec)({task!r}) for _ in range(2))"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    _wait(lambda: len(list(tmp_path.iterdir())) == 2)
    process.kill()
    process.wait()
    _wait(lambda: not any(psutil.pid_exists(int(of.name)) for of in tmp_path.iterdir()))


def _wait(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
