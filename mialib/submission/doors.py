"""The door that every file comes through: whatever a library raises about it becomes one sentence with its name."""

from contextlib import contextmanager
from pathlib import Path

from mialib.base.text import one_line

MOST = 450
"""Letters of a sentence beside the path of the file; its end counts least."""


@contextmanager
def named(path, failure=None, otherwise="cannot be read"):
    """Raise whatever is raised within as a ValueError of one line that names a file.

    Parameters
    ----------
    path : path_like
        A sentence that has its name, and is one, stays as it is.
    failure : str, optional
        What follows the path before the words of a library, such as ``is no ONNX file``. Without it a ValueError is
        taken for a sentence that lacks the name.
    otherwise : str
        What follows it, without `failure`, before the words of an error of another type.

    Raises
    ------
    ValueError
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of Rust, as safetensors may end in, is no Exception
        said, is_sentence = str(error), isinstance(error, ValueError)
        if type(error) is ValueError and Path(path).name in said and "\n" not in said:
            if len(said) <= MOST + len(str(path)):
                raise
            raise ValueError(one_line(said, MOST)) from error
        if is_sentence and failure is None:
            raise ValueError(f"{path}: {_in_one_line(error)}") from error
        raise ValueError(f"{path} {failure or otherwise} ({_in_one_line(error)})") from error


def _in_one_line(error):
    """Return what an error says in at most 200 letters: of a trace of TorchScript, the end."""
    return one_line((str(error) or type(error).__name__).rpartition("RuntimeError: ")[2], 200)
