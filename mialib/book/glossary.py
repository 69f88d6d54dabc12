"""Terms of the glossary, linked where a chapter first uses them: by the build, so that notebooks stay plain."""

import re

LISTED = re.compile(r"^```\{glossary\}.*?^```", re.DOTALL | re.MULTILINE)
TERM = re.compile(r"^(?![:\s`])(.+)$", re.MULTILINE)
PLAIN = {
    "claim",
    "filter",
    "noise",
    "pool",
    "profile",
    "query",
    "record",
    "reproduced",
    "rounding",
    "seed",
    "undecided",
}
"""Terms that are everyday words as well, and are not linked."""

LEFT = re.compile(
    r"^(```|:::).*?^\1$|^#.*?$|^\|.*?$"  # blocks, headings, rows of tables
    r"|\$\$.*?\$\$|\$[^$\n]*\$|\{[\w:]+\}`[^`]*`|`[^`]*`|!?\[[^\]]*\]\([^)]*\)|<[^>]+>",
    re.DOTALL | re.MULTILINE,
)
"""What is not prose of a chapter's Markdown, or is linked already."""


def read_terms(text):
    """Return the terms that the Markdown of a glossary explains, a list of str."""
    return [term for listed in LISTED.findall(text) for term in TERM.findall(listed)]


def link(texts, terms):
    """Return a chapter's Markdown cells (list of str), each term linked to the glossary where it first comes."""
    known = {term.lower(): term for term in terms if term not in PLAIN}
    names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    used = re.compile(rf"(?<![\w-])({names})(s?)(?![\w-])", re.IGNORECASE)

    def role(found):
        term = known.pop(found[1].lower(), None)
        return f"{{term}}`{found[0]} <{term}>`" if term else found[0]

    def linked(text):
        pieces, end = [], 0
        for left in LEFT.finditer(text):
            pieces += [used.sub(role, text[end : left.start()]), left[0]]
            end = left.end()
        return "".join([*pieces, used.sub(role, text[end:])])

    return [linked(text) for text in texts]
