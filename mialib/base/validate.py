"""Bad input gets one sentence: what was wrong, and what would be right."""

from numbers import Integral


def check_integer(name, value, least):
    """Check that a parameter is a whole number.

    Parameters
    ----------
    name : str
        As the caller knows it.
    value : object
    least : int
        Smallest allowed.

    Raises
    ------
    ValueError
        If it is no whole number, or smaller than `least`.
    """
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {least}")
