"""Progress bars, for a person who watches: at a terminal, or in a notebook that is open."""

import os
import sys

from tqdm.auto import tqdm

OPEN_NOTEBOOK = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG")
"""Set in a kernel that a person's Jupyter, VS Code or Colab has started; not by papermill or nbval."""


def is_watched():
    """Return whether a person is likely to watch; ``MIALIB_PROGRESS=0`` or ``1`` decides it (bool)."""
    if own := os.environ.get("MIALIB_PROGRESS"):
        return own != "0"
    return sys.stderr.isatty() or any(name in os.environ for name in OPEN_NOTEBOOK)


def progress(total, what, unit, remark=None):
    """Return a bar that says what is done of `total`, and the time left; nothing where nobody watches.

    Parameters
    ----------
    total : int
    what, unit : str
        Such as ``training`` and ``model``.
    remark : str, optional
        Shown behind, such as ``200 epochs each``.

    Returns
    -------
    tqdm
        A context manager with ``update(n)``.
    """
    return tqdm(total=total, desc=what, unit=unit, postfix=remark, disable=not (total and is_watched()))
