import pytest

from mialib.book import words


def test_a_number_has_its_format_and_its_name_may_be_broken_over_lines():
    text = "It is right in {precision,\nlocal NN:.0%} of 1,000 cases, {gap:+.2f} more than 50 %, {n:,.0f} times."
    numbers = {"precision, local NN": 0.857, "gap": 0.356, "n": 1200}
    space = "\N{NO-BREAK SPACE}"
    assert words.fill(text, numbers) == (
        f"It is right in 86{space}% of 1,000 cases, +0.36 more than 50{space}%, 1,200 times."
    )
    assert words.names(text) == {"precision, local NN": ".0%", "gap": "+.2f", "n": ",.0f"}


def test_a_number_that_is_missing_is_named():
    with pytest.raises(KeyError, match="precision, forest"):
        words.fill("{precision, forest:.2f}", {"precision": 0.5})


def test_a_paragraph_is_markdown_and_plain_text():
    said = words.Said("\n**Read it:** up.\n", "small")
    assert said._repr_mimebundle_()["text/plain"] == "**Read it:** up.\nsmall"
    assert repr(words.Said("alone")) == "alone"
