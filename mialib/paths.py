"""Where things lie: what ships with the project, and what is kept on this machine."""

import os
import tempfile
from pathlib import Path

import pooch

_PACKAGE = Path(__file__).parent


def shipped(*parts):
    """Return the path of something that ships with the project, such as ``data/purchase.npz``.

    In a checkout it stands beside the package; an installed wheel carries it inside.
    """
    inside = _PACKAGE / "_shipped"
    return (inside if inside.exists() else _PACKAGE.parent).joinpath(*parts)


def cache_dir():
    """Return the folder of downloads and trained models: ``MIALIB_CACHE``, or the user's cache."""
    return Path(os.environ.get("MIALIB_CACHE") or pooch.os_cache("mialib"))


def write_text(path, text):
    """Write a file under a temporary name, rename it, and return its path; if that fails, nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False, suffix=".part") as file:
        try:
            file.write(text)
        except BaseException:
            os.unlink(file.name)
            raise
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    return path
