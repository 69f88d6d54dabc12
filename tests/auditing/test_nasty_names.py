import json

import matplotlib as mpl
import numpy as np
import pandas as pd

from mialib import plots
from mialib.attack.answers import Answers
from mialib.auditing import report
from mialib.auditing.findings import Findings
from mialib.base.text import one_line, readable
from mialib.book.pictures import svg
from mialib.plots import style

NAMES = [
    r"model $\frac$ of $x_1$",
    r"\$x$ and $\n$",
    "mod\udcffel.skops",
    "a\x00b\x1b[2Jc\x7f",
    "first\nsecond\r\nthird\u2028fourth",
    "\u202egnp.elif \u05e9\u05dc\u05d5\u05dd",
    "<script>alert('x')</script>\"&amp;",
    "n" * 5000,
    "_private",
    "",
    "模型 🦊",
]


def test_what_a_page_cannot_hold_is_replaced_and_nothing_else():
    assert readable("a\udcff\x00\x1b\u202e\r") == "a" + 5 * "\ufffd"
    assert readable("tab\tline\n é 模型 🦊 שלום \u200d") == "tab\tline\n é 模型 🦊 שלום \u200d"
    assert one_line(" a\n  b\x00 ") == "a b\ufffd"
    assert len(one_line("x" * 5000)) < 1010


def figures(name):
    """Return figures of every kind with a name wherever one can stand."""
    two = {name: [0.5, 0.7], "other": [0.6, 0.8]}
    point = {name: {name: (0.4, 0.5)}}
    rates = np.array([0.01, 1]), np.array([0.1, 1])
    return {
        "cdf": plots.precision_cdf(two, name),
        "histogram": plots.answer_histogram(two, name),
        "grid": plots.answer_grid({name: {"probability": two, "entropy": two}}),
        "roc": plots.roc({name: rates}),
        "boxes": plots.precision_boxes({name: np.array([0.5, 0.6])}, name, name),
        "bars": plots.bars({name: {name: 0.5}}, name, name),
        "curve": plots.curve({name: {name: 0.5, "b": 0.6}}, name, name),
        "scatter": plots.scatter(point, name, name, named=True),
        "paper": plots.paper_against_ours({name: [(0.5, 0.6)]}),
        "climbs": plots.climbs({name: [0.1, 0.2]}, 0.5),
        "images": plots.image_rows({name: [np.zeros((2, 2))]}, [name]),
    }


def test_a_text_for_figures_is_what_is_written():
    for name in NAMES:
        assert not mpl.cbook.is_math_text(style.plain(name))
        assert style.plain(name).replace(r"\$", "$").strip() == readable(name[:200]).strip() + "…" * (len(name) > 200)


def test_a_name_stands_in_every_figure_as_it_is_written():
    name = "_$\\frac$ \udcff of $x$"
    for kind, figure in figures(name).items():
        style.sign(figure, f"by {name}")
        figure.draw_without_rendering()
        shown = [text.get_text() for text in figure.findobj(mpl.text.Text)]
        for text in (style.plain(name), style.plain(f"by {name}")):
            assert text in shown, kind


def test_figures_with_numbers_on_logarithmic_axes_keep_their_powers():
    assert "10^{-2}" in svg(figures("a")["roc"])


def test_a_report_is_written_whatever_things_are_called(tmp_path):
    classes, n = ["".join(NAMES[::2]), "".join(NAMES[1::2])], 44
    labels, member = np.arange(n) // 2 % 2, np.arange(n) < n // 2
    vectors = np.full((n, 2), 0.3, np.float32)
    vectors[np.arange(n), labels] = 0.7
    names = np.resize(np.array(NAMES, object), n)
    found = Findings(
        "".join(NAMES[:5]), Answers(labels, vectors, member), ids=names, by={NAMES[0]: names}, classes=classes
    )
    page, content, table = report.save(found, tmp_path / "audit.html")
    assert "<script>alert" not in page.read_text(encoding="utf-8")
    content = json.loads(content.read_text(encoding="utf-8"))
    assert content["model"] == readable("".join(NAMES[:5]))
    assert list(content["by class"]) == list(map(readable, classes))
    assert set(pd.read_csv(table)["label"]) == set(map(readable, classes))
