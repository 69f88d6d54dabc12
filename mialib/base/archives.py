"""Archives of arrays: whether they hold what they say, before anything reserves memory for it."""

import math
import zipfile

from numpy.lib import format as npy

DEFLATED = 1032
"""Bytes that one byte of a ZIP archive can become at most."""


def check_sizes(path):
    """Raise a ValueError if a ZIP archive says of a member, or a member of its array, that it is larger than it can be.

    Any other file passes.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            stored = member.compress_type == zipfile.ZIP_STORED
            if member.file_size > member.compress_size * (1 if stored else DEFLATED):
                raise ValueError(
                    f"{member.filename!r} in it has {member.compress_size} bytes and cannot become {member.file_size}"
                )
            if member.filename.endswith(".npy") and (n_bytes := _bytes_of(archive, member)) > member.file_size:
                raise ValueError(f"{member.filename!r} in it says that it holds {n_bytes} bytes; it does not")


def _bytes_of(archive, member):
    """Return how much memory an array says that it takes, at least a byte an entry."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    return math.prod(shape) * max(dtype.itemsize, 1)
