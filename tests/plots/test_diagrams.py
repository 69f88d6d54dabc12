"""Diagrams: what they name, that nothing lies on anything else, and that they are drawn the same each time."""

import io
from itertools import combinations

import matplotlib as mpl
import pytest

from mialib import plots

NAMED = {
    "pipeline": [
        "shadow in",
        "shadow out",
        "owner's records",
        "record in question",
        "k shadow models",
        "target model",
        "prediction vectors, labelled in or out",
        "prediction vector of this record",
        "attack models, one for each class",
        "in or out?",
    ],
    "who_owns_what": [
        "target in",
        "target out",
        "shadow in",
        "shadow out",
        "Known to the owner only",
        "Known to the attacker",
    ],
    "synthesis_flow": [
        "random record",
        "ask the target: probability of class c (iter_max times at most)",
        "as high as the best so far, or higher?",
        "count a rejection; after rej_max halve k, to k_min",
        "above conf_min, c the likeliest class, and drawn with this probability?",
        "new best; rejections start from 0 again",
        "change k features of the best",
        "record found",
    ],
    "channels": [
        "Side channel",
        "honest trainer",
        "answers to queries",
        "at most one bit for each record: in or out",
        "Covert channel",
        "malicious trainer hides training data",
        "parameters",
        "answers",
        "the hidden training data",
    ],
}


def texts(figure):
    return [text for text in figure.axes[0].texts if text.get_text()]


def boxes(figure):
    figure.canvas.draw()
    return {text: text.get_window_extent() for text in texts(figure)}


@pytest.mark.parametrize("name", NAMED)
def test_each_part_is_named_once(name):
    said = [text.get_text().replace("-\n", "").replace("\n", " ") for text in texts(getattr(plots, name)())]
    assert [part for part in NAMED[name] if said.count(part) != 1] == []


@pytest.mark.parametrize("name", NAMED)
def test_no_text_leaves_the_figure_or_lies_on_another(name):
    figure = getattr(plots, name)()
    found = boxes(figure)
    for text, box in found.items():
        assert (figure.bbox.x0 + 2 < box.x0) & (box.x1 < figure.bbox.x1 - 2), text.get_text()
        assert (figure.bbox.y0 + 2 < box.y0) & (box.y1 < figure.bbox.y1 - 2), text.get_text()
    both = [(a.get_text(), b.get_text()) for a, b in combinations(found, 2) if found[a].overlaps(found[b])]
    assert both == []


@pytest.mark.parametrize("name", NAMED)
def test_a_text_fits_its_box_even_in_a_wider_font(name):
    figure = getattr(plots, name)()
    shapes = [patch.get_window_extent() for patch in figure.axes[0].patches]
    for text, box in boxes(figure).items():
        around = [
            of for of in shapes if of.x0 < (box.x0 + box.x1) / 2 < of.x1 and of.y0 < (box.y0 + box.y1) / 2 < of.y1
        ]
        if around:
            smallest = min(around, key=lambda of: of.width * of.height)
            assert box.width * 1.05 < smallest.width, text.get_text()
            assert box.height < smallest.height, text.get_text()


@pytest.mark.parametrize("name", NAMED)
def test_a_diagram_can_be_read_on_a_phone_and_told(name):
    figure = getattr(plots, name)()
    assert figure.get_figwidth() <= 4.8
    assert min(text.get_fontsize() for text in texts(figure)) >= 9
    assert figure.axes[0].get_title() == ""
    told = getattr(plots, f"{name.upper()}_ALT")
    assert 100 < len(told) < 600
    assert told.endswith(".")


@pytest.mark.parametrize("name", NAMED)
def test_an_svg_is_the_same_each_time(name):
    def saved():
        file = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": "mialib", "svg.fonttype": "none"}):
            getattr(plots, name)().savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        return file.getvalue()

    assert saved() == saved()
