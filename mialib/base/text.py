"""Text from elsewhere, made fit to be shown: names in files and tables, and what errors say."""

import re

LONGEST = 1000
"""Letters of an error that are shown."""

_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def readable(text):
    """Return a text that UTF-8 can hold and a terminal or page may show, with U+FFFD for each letter that it may not.

    Those are halves of letters, which stand for bytes of a file's name that are no UTF-8, control characters but tabs
    and ends of lines, and what turns the direction of the letters around it.
    """
    return _UNREADABLE.sub("\ufffd", text)


def one_line(text, most=LONGEST):
    """Return a text as one readable line of at most so many letters."""
    line = readable(" ".join(text.split()))
    return line if len(line) <= most else f"{line[:most]} …"
