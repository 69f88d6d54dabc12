import math

import pandas as pd
import pytest

from mialib.book import sweeps
from mialib.book.chapters import ChapterError
from mialib.book.runs import Origin, Run
from mialib.book.sweeps import grid, lines, sweep
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate


def test_a_grid_is_all_combinations():
    points = grid(["n_shadow=1,2", "seed=3..5", "source=real,sample"])
    assert len(points) == 12
    assert points[0] == {"n_shadow": 1, "seed": 3, "source": "real"}
    assert points[-1] == {"n_shadow": 2, "seed": 5, "source": "sample"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["n_shadow"], "grid 'n_shadow' has no values; write name=1,2,5"),
        (["seed=4..0"], r"range '4\.\.0' is empty"),
        (["seed=a..b"], "is no range; write whole numbers"),
        (["seed=1", "seed=2"], "seed is in the grid twice"),
    ],
)
def test_a_bad_grid_is_one_sentence(texts, message):
    with pytest.raises(ValueError, match=message):
        grid(texts)


class Found:
    def __init__(self, notebook, run):
        self.notebook, self.run = notebook, run


@pytest.fixture
def chapters(tmp_path, monkeypatch):
    """Runs of the chapter location that measure a number of their parameters; size 13 fails."""
    notebook = tmp_path / "executed.ipynb"
    notebook.write_text("{}", encoding="utf-8")

    def executed(path, parameters, environment):
        if parameters["size"] == 13:
            raise ChapterError("location: ValueError: size is 13")
        origin = Origin("location", "own", parameters["seed"], (Provenance("toy", "sample", "here", "none", "0" * 64),))
        value = parameters["size"] + parameters["seed"] / 10
        numbers = {"precision": Estimate(value, value - 1, value + 1), "train accuracy": parameters["epochs"] / 100}
        return Found(notebook, Run(origin, numbers))

    monkeypatch.setattr(sweeps, "executed", executed)
    return tmp_path / "out"


def test_a_sweep_is_one_tidy_table(chapters):
    numbers, failures = sweep("location", grid(["size=10,13,20", "seed=0..1"]), {"epochs": 50}, chapters)
    assert failures == {f'{{"size": 13, "seed": {seed}}}': "location: ValueError: size is 13" for seed in (0, 1)}
    assert list(numbers.columns) == ["size", "seed", "quantity", "value", "low", "high", "data", "sha256"]
    assert len(numbers) == 8
    row = numbers[(numbers["size"] == 20) & (numbers["seed"] == 1) & (numbers["quantity"] == "precision")].iloc[0]
    assert (row["value"], row["low"], row["high"], row["data"]) == (20.1, 19.1, 21.1, "sample")
    accuracy = numbers[numbers["quantity"] == "train accuracy"]
    assert set(accuracy["value"]) == {0.5}
    assert all(map(math.isnan, accuracy["low"]))
    pd.testing.assert_frame_equal(pd.read_csv(chapters / "numbers.csv", dtype={"sha256": str}), numbers)
    assert len(list(chapters.glob("location-*.ipynb"))) == 4

    drawn = lines(numbers, "size", "precision")
    assert list(drawn) == ["precision"]
    assert list(drawn["precision"]) == [10, 20]
    mean = drawn["precision"][10]
    assert (mean, mean.low, mean.high) == pytest.approx((10.05, 10.0, 10.1))


def test_other_parameters_are_lines_of_their_own(chapters):
    numbers, _ = sweep("location", grid(["size=10,20", "epochs=5,6"]), {"seed": 0}, chapters)
    assert list(lines(numbers, "size", "precision")) == ["epochs 5", "epochs 6"]


def test_what_cannot_be_swept_or_drawn_is_said(chapters):
    with pytest.raises(ChapterError, match="location has no parameter 'sise'; it has profile, source, size"):
        sweep("location", grid(["sise=1"]), {}, chapters)
    with pytest.raises(ChapterError, match="every point failed; the first: location: ValueError: size is 13"):
        sweep("location", grid(["size=13"]), {"seed": 0, "epochs": 1}, chapters)
    assert not chapters.exists()
    numbers, _ = sweep("location", grid(["size=10", "source=real,sample"]), {"seed": 0, "epochs": 1}, chapters)
    with pytest.raises(ValueError, match="source holds no numbers"):
        lines(numbers, "source", "precision")
    with pytest.raises(ValueError, match="nothing was measured under 'recall'; there are precision, train accuracy"):
        lines(numbers, "size", "recall")
