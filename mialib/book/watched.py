"""A notebook that is run in this process, watched: ``python -m mialib.book.watched NOTEBOOK PARENT``.

It imports little, since every chapter waits for it.
"""

import json
import os
import sys
import threading
import time
from contextlib import suppress

import psutil

from mialib.base.signals import stoppable
from mialib.book.chapters import ChapterError, outputs

PERIOD = 0.2
"""Seconds between two looks at the memory that a chapter holds."""


class Watch(threading.Thread):
    """Looks from time to time how many bytes this process and all that it starts hold together; `peak` is the most.

    Chapters train in processes side by side, of which `resource` knows only the largest. What they share counts for
    each. The watch also ends them all if `parent`, the id of the process that started this one, is gone.
    """

    def __init__(self, parent):
        super().__init__(daemon=True)
        self.peak, self._parent = 0, parent

    def run(self):
        """Look until this process ends."""
        while True:
            own, held = psutil.Process(), 0
            started = own.children(recursive=True)
            for process in (own, *started):
                with suppress(psutil.Error):
                    held += process.memory_info().rss
            self.peak = max(self.peak, held)
            if os.name == "posix" and os.getppid() != self._parent:
                for process in started:
                    with suppress(psutil.Error):
                        process.kill()
                os._exit(1)
            time.sleep(PERIOD)


def main(source, parent):
    """Run a notebook with the parameters of standard input; write it, and what that took, to standard output.

    `parent` is the id of the process that waits for it (str).
    """
    watch, started, before = Watch(int(parent)), time.monotonic(), sum(os.times()[:4])
    watch.start()
    try:
        notebook = outputs(source, json.load(sys.stdin))
    except ChapterError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    took = {
        "seconds": round(time.monotonic() - started, 1),
        "CPU seconds": round(sum(os.times()[:4]) - before, 1),  # of this process, and of all below it that ended
        "peak memory in MiB": watch.peak // 2**20,
    }
    print(json.dumps([notebook, took]))
    return 0


if __name__ == "__main__":
    with stoppable():
        sys.exit(main(*sys.argv[1:]))
