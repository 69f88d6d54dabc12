import nbformat
import pytest

from mialib.book import dependence
from mialib.book.dependence import code_of

MEASURES = """
from mialib import Experiment, metrics, plots, run
from mialib.attack import comparisons
sure = [0.25, 0.5]
for x in sure:
    seen = x
value = metrics.median(sure)
many = {"a": 1}
many["b"] = seen
numbers = comparisons.summary({"a": run(Experiment(10), data)})
chapter.keep({"x": list(many.values())})
chapter.check(numbers | {"value": value})
"""


@pytest.fixture
def code_with(tmp_path):
    """Return the code of a chapter whose parameters and cell are these."""

    def code(cell, parameters="seed = 0"):
        cells = [
            nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(cell),
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "toy.ipynb")
        return code_of(tmp_path / "toy.ipynb")

    return code


@pytest.mark.parametrize(
    ("old", "new", "decides"),
    [
        ("0.25", "0.75", True),
        ("metrics.median", "metrics.mean", True),
        ("seen = x", "seen = 2 * x", True),
        ('many["b"] = seen', 'many["b"] = 2', True),
        ("Experiment(10)", "Experiment(20)", True),
        ("chapter.keep", "chapter.figure(plots.bars({'a': many}, '', ''))\nchapter.keep", False),
        ("metrics, plots", "metrics", False),
        ("value = metrics", "shown = sure\nvalue = metrics", False),
        ("sure = ", "sure = \\\n", False),
    ],
)
def test_the_code_of_a_chapter_is_what_decides_its_numbers(code_with, old, new, decides):
    assert MEASURES.count(old) == 1
    assert (code_with(MEASURES) != code_with(MEASURES.replace(old, new))) == decides


def test_parameters_are_kept_beside_the_code(code_with):
    assert code_with(MEASURES) == code_with(MEASURES, "seed = 1")


@pytest.mark.parametrize(
    ("module", "old", "new", "decides"),
    [
        ("mialib.metrics", "LEVEL = 0.95", "LEVEL = 0.9", True),
        ("mialib.metrics", "ordered, _ = cdf(values)", "ordered, _ = cdf(-values)", True),
        ("mialib.metrics", "Classes that are NaN are left out", "Of NaN nothing is said", False),
        ("mialib.metrics", "def normalised_entropy(vectors):", "def normalised_entropy(vectors, base=2):", False),
        ("mialib.attack.shadow", "learning_rate=5e-3", "learning_rate=5e-2", True),
        ("mialib.attack.experiment", "parts = experiment.split(data)", "parts = experiment.split(data[:5])", True),
        ("mialib.attack.comparisons", "def vote(models, data)", "def vote(models, data, x)", False),
        ("mialib.book.ledger", "ITEMS = (", "ITEMS = () and (", False),
    ],
)
def test_of_mialib_it_is_what_the_numbers_lead_to(code_with, monkeypatch, module, old, new, decides):
    before, path = code_with(MEASURES), dependence._path(module)
    source = path.read_text("utf-8")
    assert old in source
    monkeypatch.setattr(
        dependence,
        "_body",
        lambda name, real=dependence._body: (
            dependence.ast.parse(source.replace(old, new)).body if name == module else real(name)
        ),
    )
    assert (code_with(MEASURES) != before) == decides
