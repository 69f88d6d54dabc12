"""Training on a GPU that is not there: torch's fake tensors go the way that a GPU's would, and compute nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mialib import CNN, NN, Recipe
from mialib.base.seeding import children
from mialib.models import training
from mialib.models.kernels import BFloat16, Float32

tracking = pytest.importorskip("torch.distributed._tools.mem_tracker", reason="this torch measures no fake memory")

GPU = torch.device("cuda")
SHAPES = {
    NN(): (600,),
    NN((64, 32), dropout=0.2): (80,),
    CNN(products=Float32()): (32, 32, 3),
    CNN(products=BFloat16()): (32, 32, 3),
}


@pytest.fixture
def unjudged(monkeypatch):
    """Fake numbers are neither finite nor not."""
    monkeypatch.setattr(torch, "isfinite", lambda numbers: np.ones(1, bool))


def records(shape, n=300):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), rng.integers(0, 10, n)


def train(architecture, x, y, n_models, steps=3):
    """Return a stack trained on the fake GPU, and the bytes that it held there at most."""
    recipe, index = Recipe(architecture, steps=steps), [np.arange(len(x))] * n_models
    with FakeTensorMode(allow_non_fake_inputs=True), tracking.MemTracker() as tracker:
        stack = training.fit_stack(recipe, x, y, 10, index, children(0, n_models), GPU)
    return stack, tracker.get_tracker_snapshot("peak")[torch.device("cuda", 0)]["Total"]


@pytest.mark.parametrize("architecture", SHAPES, ids=str)
def test_all_that_trains_lies_on_the_gpu(architecture, unjudged):
    stack, _ = train(architecture, *records(SHAPES[architecture]), 3)
    assert stack.parameters.device.type == "cuda"
    assert all(tensor.device.type == "cuda" for layer in stack._layers for tensor in layer)


@pytest.mark.parametrize("architecture", SHAPES, ids=str)
def test_a_model_takes_about_the_memory_that_is_foreseen(architecture, unjudged):
    x, y = records(SHAPES[architecture])
    few, many = (train(architecture, x, y, n_models)[1] for n_models in (2, 6))
    foreseen = training.bytes_a_model(Recipe(architecture), x, 10)
    assert (many - few) / 4 <= foreseen <= 3 * (many - few) / 4


@pytest.mark.parametrize("architecture", SHAPES, ids=str)
def test_a_block_fits_into_half_of_the_free_memory(architecture, unjudged, monkeypatch):
    x, y = records(SHAPES[architecture])
    free = 2 * (x.nbytes + 5 * training.bytes_a_model(Recipe(architecture), x, 10))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 8 * free))
    n_models = training.models_a_block(Recipe(architecture), x, 10, GPU)
    assert n_models == 5
    assert train(architecture, x, y, n_models)[1] <= free / 2


def test_without_room_for_a_model_a_sentence_says_what_is_needed(monkeypatch):
    x, _ = records((600,))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4_000_000, 80_000_000_000))
    with pytest.raises(MemoryError, match=r"1,820,000 bytes; [0-9,]+ are needed .* CUDA_VISIBLE_DEVICES"):
        training.models_a_block(Recipe(NN()), x, 10, GPU)


def test_on_a_gpu_blocks_follow_each_other(monkeypatch):
    """Each has been given the memory that is free; on a CPU they run side by side."""
    x, y = records((20,))
    asked, parallel = [], training.joblib.Parallel
    monkeypatch.setattr(training, "default_device", lambda: SimpleNamespace(type="cuda"))
    monkeypatch.setattr(training, "_fit_block", lambda block, *rest: (block, np.zeros((len(block), 4), np.float32)))
    monkeypatch.setattr(training.joblib, "Parallel", lambda n, **more: asked.append(n) or parallel(n, **more))
    blocks = training.fit_blocks(Recipe(NN()), x, y, 10, [np.arange(300)] * 7, children(0, 7), 3)
    assert [list(block) for block, _ in blocks] == [[0, 1, 2], [3, 4, 5], [6]]
    assert asked == [1]
