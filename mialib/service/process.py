"""A prediction service in another process, for as long as it is needed."""

import subprocess
import sys
import threading
from contextlib import contextmanager
from tempfile import TemporaryFile

from mialib.service.client import ServiceError

LONGEST_START = 300
"""Seconds in which a service, and the model that it may have to train, must be ready."""


@contextmanager
def serving(*words):
    """Run ``mia serve`` in another process, yield the service's address, and end it afterwards.

    `words` are of the command line, without ``--port``: any free port is taken. A `ServiceError` says that the service
    ended, or was not ready in time.
    """
    code = "import sys; from mialib.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "serve", *map(str, words), "--port", "0"]
    with (
        TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        too_late = threading.Timer(LONGEST_START, process.kill)
        try:
            too_late.start()
            address = process.stdout.readline().strip()
            if not address:
                process.wait()
                errors.seek(0)
                raise ServiceError(f"the service did not start: {errors.read().strip()[-500:] or 'it said nothing'}")
            too_late.cancel()
            yield address
        finally:
            too_late.cancel()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
