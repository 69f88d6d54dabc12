"""How to come by the numbers behind the paper's figures and tables again, and whether a run did: ``FILE ...``."""

import hashlib
import json
import sys

from mialib.book import chapters, ledger
from mialib.book.runs import RECORDED, recorded, recordings, run_in_notebook, which_seeds

MARK = "<!-- figures -->"
"""Where a page has the list of `how`."""


def sha256(run):
    """Return the sha256 of what a `Run` measured (str): its numbers, intervals and arrays, without time and machine."""
    measured = {name: of for name, of in run.to_dict().items() if name in ("numbers", "arrays")}
    return hashlib.sha256(json.dumps(measured, sort_keys=True).encode()).hexdigest()


def how(spoken):
    """Return, as a list in Markdown, where each figure and table of the paper is made again.

    Each entry has the chapter, which seeds are recorded, how long that takes by `spoken`, a function of a chapter's
    name, the commands, and the sha256 of what was measured from the first seed.
    """
    entries = []
    for name, items in _items().items():
        runs = recorded(name).runs
        seed = runs[0].origin.seed
        page, seeds = f"[{chapters.title(name)}]({name}.ipynb)", which_seeds(runs)
        entries += [f"**{', '.join(items)}**: {page}. Recorded seeds: {seeds}; {spoken(name)}.", "", "```"]
        entries += [f"mia run {name} --profile {RECORDED} -p seed={seed} -o {name}.ipynb"]
        entries += [f"python -m mialib.book.reproduce {name}.ipynb", f"# {sha256(runs[0])}", "```", ""]
    return "\n".join(entries)


def _items():
    """Return, for each recorded chapter in the book's order, which figures and tables its claims name."""
    runs, found = recordings(), {}
    for item, verdicts in ledger.by_item(runs).items():
        if item.startswith(("Fig.", "Table")):
            for name in dict.fromkeys(verdict.claim.chapter for verdict in verdicts):
                found.setdefault(name, []).append(item)
    return {name: found[name] for name in chapters.measuring() if name in found and name in runs}


def compared(path):
    """Return what a run of a chapter, an executed notebook, has in common with the recorded one (str, a sentence).

    A ValueError says that the file holds no run, or that none with its profile and seed is recorded.
    """
    if (run := run_in_notebook(path)) is None:
        raise ValueError(f"{path} holds no run of a chapter; mia run CHAPTER --profile {RECORDED} -o FILE writes one")
    of = run.origin
    kept = recorded(of.chapter, of.profile)
    same = [other for other in kept.runs if other.origin.seed == of.seed] if kept else []
    if not same:
        raise ValueError(f"{of.chapter} is not recorded with profile {of.profile} and seed {of.seed}")
    said = f"{path}: {of.chapter}, profile {of.profile}, seed {of.seed}, sha256 {sha256(run)}: "
    if sha256(run) == sha256(same[0]):
        return f"{said}the recorded numbers, to the last bit"
    ours, theirs = run.numbers, same[0].numbers
    if missing := sorted(ours.keys() ^ theirs.keys()):
        return f"{said}{len(missing)} numbers are in one of the two alone, such as {missing[0]!r}"
    apart = {name: abs(float(ours[name]) - float(theirs[name])) for name in ours}
    apart = {name: by for name, by in apart.items() if by > 0}  # not NaN
    worst = max(apart, key=apart.get, default=None)
    if worst is None:
        return f"{said}the recorded numbers, but other intervals or arrays"
    return f"{said}{len(apart)} of {len(ours)} numbers differ, most {worst!r}, by {apart[worst]:.2g}"


if __name__ == "__main__":
    for file in sys.argv[1:]:
        print(compared(file))
