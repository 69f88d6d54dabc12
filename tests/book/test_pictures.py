import base64
import re

import numpy as np

from mialib import plots
from mialib.book.pictures import Picture, own_png, png, svg


def bars(height):
    return plots.bars({"a": {"x": height}}, "set", "precision")


def test_tabs_are_one_group_of_radio_buttons_of_which_the_first_is_checked():
    html = Picture({"recorded run": bars(0.6), "this run": bars(0.7)}, "A <b>.", "Two")._repr_html_()
    inputs = re.findall(r'<input type="radio" name="([^"]*)" id="([^"]*)"( checked)?>', html)
    labels = re.findall(r'<label for="([^"]*)">([^<]*)</label>', html)
    (group, first, checked), (same, second, unchecked) = inputs
    assert group == same
    assert (checked, unchecked) == (" checked", "")
    assert labels == [(first, "recorded run"), (second, "this run")]
    assert html.count('alt="Two"') == 2
    assert "<figcaption>A &lt;b&gt;.</figcaption>" in html
    other = Picture({"recorded run": bars(0.6), "this run": bars(0.8)}, "A <b>.", "Two")._repr_html_()
    assert group not in other  # else the tabs of one figure would switch those of the other


def test_lines_are_svg_and_pixels_png():
    figure = bars(0.6)
    lines = Picture({"this run": figure}, "Bars.")
    (source,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', lines._repr_html_())
    assert base64.b64decode(source).decode() == svg(figure)
    assert list(lines._repr_mimebundle_()) == ["text/plain", "text/html"]
    assert 'alt="Bars."' in lines._repr_html_()
    assert "radio" not in lines._repr_html_()
    pixels = Picture({"this run": plots.image_rows({"grey": np.zeros((1, 2, 2))})}, "Images.")
    assert "data:image/png;base64," in pixels._repr_html_()
    kept = Picture({"recorded run": b"\x89PNG kept", "this run": pixels.figure}, "Images.")
    assert own_png(kept._repr_html_()) == png(pixels.figure, 100)


def test_the_same_figure_is_the_same_file():
    assert svg(bars(0.6)) == svg(bars(0.6))
    assert png(bars(0.6)) == png(bars(0.6)) != png(bars(0.7))
