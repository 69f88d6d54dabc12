"""The data sets by name, and how each is loaded."""

import inspect
from functools import cache

SOURCES = {
    "location": ("real", "stand-in"),
    "purchase": ("real", "sample", "stand-in"),
    "texas": ("real", "stand-in"),
    "hospital": ("sample",),
    "adult": ("real", "sample"),
    "mnist": ("real", "sample"),
    "digits": ("sample",),
    "cifar10": ("real", "stand-in"),
    "cifar100": ("real", "stand-in"),
}
"""What each data set has. It stands here so that listing the sets loads none of the libraries that read them."""


@cache
def readers():
    """Return what reads each data set, by name; a method for each of its `SOURCES`."""
    from mialib.datasets.images import Cifar, Digits, Mnist
    from mialib.datasets.people import Adult, Hospital
    from mialib.datasets.published import LOCATION, PURCHASE, TEXAS

    return {
        "location": LOCATION,
        "purchase": PURCHASE,
        "texas": TEXAS,
        "hospital": Hospital(),
        "adult": Adult(),
        "mnist": Mnist(),
        "digits": Digits(),
        "cifar10": Cifar(
            "cifar10",
            10,
            "0fa701758e7c7dbda009464f41373d991d190232fc14eca13b7326292824c0b7",
            17,
            "48581d48c6fea270665273cc055c6a53da5879901eb126979500f2839956a763",
        ),
        "cifar100": Cifar("cifar100", 100, "801b58e7d0c04c328b92b70eef79c63d7430f7b4e592bcfdb983f14e6f019c20", 23),
    }


def sources(name):
    """Return the sources that a data set has, in the order real, sample, stand-in."""
    if name not in SOURCES:
        raise ValueError(f"there is no data set {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name]


def load(name, source="real", **options):
    """Load a data set of the paper (§VI-A), or one instead of it.

    Parameters
    ----------
    name : {"location", "purchase", "texas", "hospital", "adult", "mnist", "digits", "cifar10", "cifar100"}
    source : {"real", "sample", "stand-in"}
        ``real`` looks in the folder ``MIALIB_DATA`` (``data/README.md`` lists the names), then in the cache, then
        downloads and checks the checksum; none is published for purchase and texas, whose structure is checked
        instead. ``sample`` takes real records instead of the paper's: they ship with the project, but those of
        hospital, which are looked for as real ones are. ``stand-in`` generates records.
    **options
        ``n_classes`` for purchase (2, 10, 20, 50 or 100) and hospital, ``columns`` for adult ("all", "numeric" or
        "categorical"), ``sha256`` to pin purchase and texas, ``seed`` and ``n_records`` for a stand-in.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If there is no such data set, source or option.
    DataError
        If a file cannot be downloaded, or is not the one that its checksum names.
    """
    available = sources(name)
    if source not in available:
        raise ValueError(f"{name} has no source {source!r}; it has {', '.join(available)}")
    read = getattr(readers()[name], source.replace("-", "_"))
    taken = list(inspect.signature(read).parameters)
    if foreign := [option for option in options if option not in taken]:
        raise ValueError(
            f"{name} ({source}) does not take {', '.join(foreign)}; it takes {', '.join(taken) or 'no options'}"
        )
    return read(**options)
