"""Files that are there whole or as they were, and folders for as long as they are needed.

What is not whole yet has a name that says which process makes it, so that what a killed one left is known and swept.
"""

import itertools
import os
import secrets
import shutil
import socket
import tempfile
import time
import warnings
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

LONGEST = 7 * 24 * 3600
"""Seconds after which something half-done counts as left behind, even if it may be another machine's."""

_NODE = "".join(filter(str.isalnum, socket.gethostname()))[:30] or "here"
_TOKEN, _COUNT = secrets.token_hex(4), itertools.count()  # a process of the same number may have been here before
_SAID = set()


def check_writable(*paths):
    """Check that files can be written, before the work that they are for; what killed runs left beside them goes.

    Parameters
    ----------
    *paths : path
        Of files, which need not exist, nor need their folders.

    Raises
    ------
    OSError
        One sentence: the first is a folder or protected, or its folder cannot be made or written.
    """
    for path in map(Path, paths):
        home = _home(path)
        if os.path.isdir(home):
            raise OSError(f"{path} is a folder; name a file")
        if not _is_device(home):
            place = next(folder for folder in home.parents if os.path.exists(folder))
            try:
                with suppress(FileNotFoundError):
                    home.lstat()  # a name may be too long
                with tempfile.TemporaryFile(dir=place):
                    sweep(home.parent)
            except OSError as error:
                raise OSError(f"{path} cannot be written ({place}: {_why(error)})") from error
        if os.path.exists(home) and not os.access(home, os.W_OK):
            raise OSError(f"{path} cannot be written: it is protected; name another file")


def write_files(contents):
    """Write files, all of them or none: each under another name beside its own, and only then all are renamed.

    Files that existed keep their permissions; of a link, what it points to is written. Folders are made.

    Parameters
    ----------
    contents : dict of path to str or bytes
        Text is written as UTF-8.

    Raises
    ------
    OSError
        One sentence. All files are as they were before then, and no other is left.
    """
    encoded = {Path(path): of.encode() if isinstance(of, str) else of for path, of in contents.items()}
    check_writable(*encoded)
    try:
        with ExitStack() as cleaning, ExitStack() as undoing:
            parts = {}
            for path, content in encoded.items():
                if not _is_device(home := _home(path)):
                    _make_folders(home.parent, cleaning)
                    parts[home] = _part(home, cleaning), _part(home, cleaning)
                    _write(home, parts[home][0], content)
            for home, (_, old) in parts.items():
                if home.exists():
                    _keep(home, old)
            for home, (new, old) in parts.items():
                undoing.callback(_put_back, home, new, old)
                os.replace(new, home)
            for path in filter(_is_device, encoded):
                path.write_bytes(encoded[path])
            undoing.pop_all()
    except OSError as error:
        raise OSError(f"{' and '.join(map(str, encoded))} could not be written: {_why(error)}") from error


def write_text(path, text):
    """Write one file as `write_files` does, and return its path."""
    write_files({path: text})
    return path


@contextmanager
def working_folder(parent):
    """Return a context with a folder of its own in another, for what is needed inside alone; it is removed after.

    Such folders of processes that are gone are removed first. Where none can be made, it is one of the system's
    temporary folders (Path).
    """
    sweep(parent)
    folder = Path(parent, _name())
    try:
        folder.mkdir(parents=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="mialib-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder):
    """Remove what processes that are gone have left half-done in a folder; what cannot be removed stays."""
    for part in Path(folder).glob(".mialib-*.part"):
        with suppress(OSError, ValueError):
            if _is_left(part):
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def warn_once(about, text):
    """Warn of something, once in this process, however often it is met."""
    if about not in _SAID:
        _SAID.add(about)
        warnings.warn(text, stacklevel=3)


def _name():
    return f".mialib-{_NODE}-{os.getpid()}-{_TOKEN}-{next(_COUNT)}.part"


def _is_left(part):
    """Return whether nobody goes on with something half-done; of a process on another machine, only age tells."""
    _, node, pid, token, *_ = part.name.split("-")
    if node == _NODE and int(pid) == os.getpid():
        return token != _TOKEN
    is_alive = node != _NODE or is_running(int(pid))
    return not is_alive or time.time() - part.stat().st_mtime > LONGEST


def is_running(pid):
    """Return whether a process of this machine, an int, has not ended, as far as that can be known (bool)."""
    if os.name != "posix":  # where to ask would be to interrupt it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True


def _home(path):
    """Return where a file really is, its links followed; a device, such as ``/dev/stdout``, stays as it is named."""
    return path if _is_device(path) else Path(os.path.realpath(path))


def _is_device(path):
    """Return whether this is a device or a pipe: written as it is, since a rename would put a file in its place."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _make_folders(folder, cleaning):
    """Make a folder and those above it; they go again if they are empty in the end."""
    for missing in reversed([above for above in (folder, *folder.parents) if not above.exists()]):
        missing.mkdir(exist_ok=True)
        cleaning.callback(_if_possible, missing.rmdir)


def _part(home, cleaning):
    """Return another name beside a file; what has it in the end goes."""
    part = home.with_name(_name())
    cleaning.callback(_if_possible, part.unlink)
    return part


def _if_possible(function):
    with suppress(OSError):
        function()


def _write(home, new, content):
    with open(new, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if home.exists():
        shutil.copymode(home, new)


def _keep(home, old):
    """Give a file a second name; where a file system knows no such thing, copy it."""
    try:
        os.link(home, old)
    except OSError:
        shutil.copy2(home, old)


def _put_back(home, new, old):
    """Undo a rename, if it came to it."""
    if not new.exists():
        os.replace(old, home) if old.exists() else home.unlink()


def _why(error):
    return (error.strerror or str(error)).lower()
