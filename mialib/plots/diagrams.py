"""Diagrams: who attacks what, from which records, and how. Each has its text alternative beside it.

Coordinates are inches, so that fonts fit their boxes; figures are narrow enough to be read on a phone.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from mialib.plots import style

TARGET, ATTACKER, RESULT = (look["color"] for look in style.STYLES[:3])
DATA = "#666666"
WIDTH = 4.8


def _sheet(height):
    figure = plt.figure(figsize=(WIDTH, height))
    plt.close(figure)  # else a notebook shows it once more than it is returned
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.axis("off")
    return axes


def _box(axes, x, y, width, height, text, colour, round_=0.06, **looks):
    """Draw a box around its middle, with a text of one colour and weight with all others."""
    corner = x - width / 2 + round_, y - height / 2 + round_
    face = {"facecolor": (colour, 0.12), "edgecolor": colour, "linewidth": 1.3, **looks}
    inside = width - 2 * round_, height - 2 * round_
    axes.add_patch(FancyBboxPatch(corner, *inside, boxstyle=f"round,pad={round_}", **face))
    _say(axes, x, y, text)


def _say(axes, x, y, text, **looks):
    axes.text(x, y, text, **{"fontsize": 10, "ha": "center", "va": "center", "linespacing": 1.25, **looks})


def _note(axes, x, y, text, **looks):
    _say(axes, x, y, text, fontsize=9, color="0.25", **looks)


def _arrow(axes, *corners):
    """Draw an arrow along straight lines."""
    *path, last = corners
    for start, end in pairwise(path):
        axes.plot(*zip(start, end, strict=True), color="0.25", linewidth=1.3, solid_capstyle="projecting")
    looks = {"arrowstyle": "-|>", "color": "0.25", "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", last, path[-1], arrowprops=looks)


PIPELINE_ALT = (
    "Left, the attacker trains k shadow models on their own in records, asks them about these and about out records, "
    "and trains one attack model for each class on the labelled answers. Right, the attacker asks the target about the "
    "record in question, and the attack model of its class says in or out."
)


def pipeline():
    """Draw the attack from records to the answer in or out: the paper's Figures 1 to 3 in one (a Figure)."""
    axes = _sheet(6.3)
    left, right, middle = 1.25, 3.55, 2.4
    _say(axes, left, 6.1, "The attacker learns", weight="bold")
    _say(axes, right, 6.1, "The attacker asks", weight="bold")
    for x, name, colour in (
        (0.7, "shadow in", ATTACKER),
        (1.8, "shadow out", ATTACKER),
        (3.0, "owner's\nrecords", TARGET),
        (4.1, "record in\nquestion", DATA),
    ):
        _box(axes, x, 5.55, 1.0, 0.6, name, colour)
        _arrow(axes, (x, 5.25), (x, 4.65))
    for x, label in ((0.7, "train, ask"), (1.8, "ask"), (3.0, "train"), (4.1, "query")):
        _note(axes, x + 0.08, 4.95, label, ha="left")
    for x, model, vectors, colour in (
        (left, "k shadow models", "prediction vectors,\nlabelled in or out", ATTACKER),
        (right, "target model", "prediction vector\nof this record", TARGET),
    ):
        _box(axes, x, 4.35, 2.1, 0.6, model, colour)
        _arrow(axes, (x, 4.05), (x, 3.55))
        _box(axes, x, 3.25, 2.1, 0.6, vectors, colour)
    _box(axes, middle, 1.95, 2.5, 0.6, "attack models,\none for each class", RESULT)
    _arrow(axes, (left, 2.95), (left, 2.25))
    _arrow(axes, (right, 2.95), (right, 2.25))
    _note(axes, left - 0.08, 2.6, "by true class", ha="right")
    _note(axes, right + 0.08, 2.6, "of its class", ha="left")
    _arrow(axes, (middle, 1.65), (middle, 1.0))
    _box(axes, middle, 0.7, 2.5, 0.6, "in or out?", RESULT)
    return axes.figure


WHO_OWNS_WHAT_ALT = (
    "Four sets of records of the same size, of which no two share a record. Target in trains the target and target out "
    "does not: only the owner knows which is which. Shadow in trains a shadow model and shadow out does not: the "
    "attacker draws both anew for each shadow model, and so knows the answer."
)


def who_owns_what():
    """Draw the four sets of one size, and who knows which records are in (a Figure)."""
    axes = _sheet(3.5)
    sides = (
        (
            1.22,
            "Known to the owner only",
            TARGET,
            "target",
            "train the\ntarget",
            "The attack is tested\non these records.",
        ),
        (
            3.58,
            "Known to the attacker",
            ATTACKER,
            "shadow",
            "train a\nshadow model",
            "Drawn anew for each\nshadow model.",
        ),
    )
    for middle, title, colour, name, trains, note in sides:
        _box(axes, middle, 2.0, 2.24, 2.5, "", colour, facecolor="none", linestyle="--")
        _say(axes, middle, 3.0, title, weight="bold")
        for x, end, what in ((middle - 0.54, "in", trains), (middle + 0.54, "out", "are kept\nfrom it")):
            _box(axes, x, 2.4, 0.98, 0.62, f"{name}\n{end}", colour)
            _note(axes, x, 1.8, what)
        _note(axes, middle, 1.12, note)
    _say(axes, WIDTH / 2, 0.35, "Four sets of the same size; no record is in two of them.")
    return axes.figure


SYNTHESIS_FLOW_ALT = (
    "A search starts from a random record, keeps what does not lower the target's probability of class c, and changes "
    "k random features of the best record before each further query; after more than rej_max rejections in a row it "
    "halves k, down to k_min. It ends when the probability is above conf_min, c is the likeliest class, and a draw "
    "with this probability succeeds; after iter_max queries it fails."
)


def synthesis_flow():
    """Draw Algorithm 1 (§V-C) as a flow (a Figure)."""
    axes = _sheet(5.9)
    left, right, margin = 1.3, 3.55, 4.68
    _box(axes, left, 5.5, 2.2, 0.5, "random record", DATA)
    _box(axes, left, 4.5, 2.2, 0.8, "ask the target:\nprobability of class c\n(iter_max times at most)", TARGET)
    _box(axes, left, 3.15, 2.2, 0.8, "as high as the best\nso far, or higher?", DATA, 0.3)
    _box(
        axes,
        left,
        1.85,
        2.2,
        1.0,
        "above conf_min,\nc the likeliest class,\nand drawn with this\nprobability?",
        DATA,
        0.3,
    )
    _box(axes, left, 0.5, 2.2, 0.5, "record found", RESULT)
    _box(axes, right, 4.5, 1.8, 0.8, "change k features\nof the best", ATTACKER)
    _box(axes, right, 3.15, 1.8, 0.8, "count a rejection;\nafter rej_max\nhalve k, to k_min", ATTACKER)
    _box(axes, right, 1.85, 1.8, 0.8, "new best;\nrejections start\nfrom 0 again", ATTACKER)
    _arrow(axes, (left, 5.25), (left, 4.9))
    _arrow(axes, (left, 4.1), (left, 3.55))
    for y, below, word in ((3.15, 2.35, "yes"), (1.85, 0.75, "yes")):
        _arrow(axes, (left, y - (0.4 if y > 3 else 0.5)), (left, below))
        _note(axes, left + 0.1, below + 0.22, word, ha="left")
        _arrow(axes, (left + 1.1, y), (right - 0.9, y))
        _note(axes, left + 1.24, y + 0.13, "no")
    _arrow(axes, (right, 3.55), (right, 4.1))
    _arrow(axes, (right + 0.9, 1.85), (margin, 1.85), (margin, 4.5), (right + 0.9, 4.5))
    _arrow(axes, (right - 0.9, 4.5), (left + 1.1, 4.5))
    return axes.figure


CHANNELS_ALT = (
    "Left, the side channel: a trainer is honest, the model answers queries, and a reader learns at most one bit about "
    "each record, in or out. Right, the covert channel: a malicious trainer hides training data in the model, and a "
    "reader of its parameters, or of its answers, gets these data back."
)


def channels():
    """Draw the side channel of honest training next to the covert channel of a malicious trainer (a Figure)."""
    axes = _sheet(5.0)
    left, right = 1.22, 3.58
    for x, title in ((left, "Side channel"), (right, "Covert channel")):
        _say(axes, x, 4.78, title, weight="bold", fontsize=11)
    sides = (
        (left, TARGET, "honest trainer", "model that\noverfits", "at most one bit for\neach record: in or out"),
        (
            right,
            ATTACKER,
            "malicious trainer\nhides training data",
            "model with\na secret",
            "the hidden\ntraining data",
        ),
    )
    for x, colour, trainer, model, read in sides:
        _box(axes, x, 4.2, 2.2, 0.65, trainer, colour)
        _arrow(axes, (x, 3.87), (x, 3.4))
        _box(axes, x, 3.07, 2.2, 0.65, model, colour)
        _box(axes, x, 0.75, 2.2, 0.65, read, RESULT)
    for x, width, way in ((left, 2.2, "answers to\nqueries"), (3.0, 1.04, "para-\nmeters"), (4.16, 1.04, "answers")):
        _arrow(axes, (x, 2.74), (x, 2.25))
        _box(axes, x, 1.92, width, 0.65, way, DATA)
        _arrow(axes, (x, 1.59), (x, 1.08))
    _note(axes, left, 0.2, "nobody meant to pass it on")
    _note(axes, right, 0.2, "the trainer meant to")
    return axes.figure
