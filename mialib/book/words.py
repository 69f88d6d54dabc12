"""Sentences with numbers of a run in them, such as ``{precision, local NN:.0%}``."""

import re

NUMBER = re.compile(r"\{([^{}]+):([^{}:]*)\}")


def names(text):
    """Return the names of the numbers in a text, which may be broken over lines, with their formats (dict of str)."""
    return {" ".join(name.split()): form for name, form in NUMBER.findall(text)}


def fill(text, numbers):
    """Return a text with its numbers, float by name, in their formats; a KeyError names one that is missing.

    A space that cannot break stands before each percent sign, in the text as well.
    """
    filled = NUMBER.sub(lambda found: shown(numbers[" ".join(found[1].split())], found[2]), text)
    return filled.replace(" %", "\N{NO-BREAK SPACE}%")


def shown(number, form):
    """Return a number in a format (str)."""
    return format(float(number), form).replace("%", " %").replace(" %", "\N{NO-BREAK SPACE}%")


class Said:
    """A paragraph of Markdown that a notebook's cell says, with a line in small type below it.

    Parameters
    ----------
    text, small : str
    """

    def __init__(self, text, small=""):
        self.text, self.small = text.strip(), small

    def _repr_mimebundle_(self, include=None, exclude=None):
        small = f'\n\n<p class="mialib-origin">{self.small}</p>' if self.small else ""
        return {"text/markdown": f"{self.text}{small}", "text/plain": repr(self)}

    def __repr__(self):
        return "\n".join(filter(None, (self.text, self.small)))
