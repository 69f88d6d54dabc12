import os
import signal
import threading
import time

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
