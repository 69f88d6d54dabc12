import os
import signal
import textwrap
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from mialib.base import files
from mialib.base.seeding import child, children
from mialib.datasets.dataset import Dataset
from mialib.models import cache
from mialib.models import training as module
from mialib.models.cache import ModelCache, model_keys
from mialib.models.stack import NN
from mialib.models.training import SGD, Adam, Recipe

RECIPE = Recipe(NN((8,)), epochs=2, batch_size=10)
ROWS, SEED = np.arange(30), child(0, 1)


def key(recipe=RECIPE, fingerprint="data", rows=ROWS, seed=SEED, device="cpu"):
    return model_keys(recipe, fingerprint, [rows], [seed], device)[0]


def test_a_key_changes_with_everything_that_decides_a_model(monkeypatch):
    keys = [
        key(**change)
        for change in (
            {},
            {"rows": ROWS + 1},  # same size, other records
            {"rows": ROWS[::-1]},
            {"recipe": replace(RECIPE, epochs=3)},
            {"recipe": replace(RECIPE, epochs=None, steps=2)},  # same number, other meaning
            {"recipe": replace(RECIPE, architecture=NN((9,)))},
            {"recipe": replace(RECIPE, learning_rate=0.01)},
            {"recipe": replace(RECIPE, architecture=NN((8,), dropout=0.5))},
            {"recipe": replace(RECIPE, optimiser=Adam(1e-3))},
            {"recipe": replace(RECIPE, optimiser=SGD())},
            {"fingerprint": "other data"},
            {"seed": child(0, 2)},
            {"seed": child(1, 1)},
            {"device": "cuda"},
        )
    ]
    monkeypatch.setattr(cache, "code_version", lambda module: "other code")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_a_key_is_the_same_for_the_same():
    assert key(rows=ROWS.copy()) == key(rows=ROWS.astype(np.int32)) == key()
    assert model_keys(RECIPE, "data", [ROWS + 1, ROWS], [child(0, 1)] * 2)[1] == key()


@pytest.fixture
def counted(monkeypatch):
    """Count the models that are really trained."""
    trained = []
    fit_blocks = module.fit_blocks

    def counting(recipe, x, y, n_classes, index, *rest):
        trained.append(len(index))
        return fit_blocks(recipe, x, y, n_classes, index, *rest)

    monkeypatch.setattr(module, "fit_blocks", counting)
    return trained


def train(data, index, recipe=RECIPE, seed=0):
    return recipe.train(data, index, children(seed, len(index))).parameters


def test_models_are_trained_once_and_never_for_another_key(data, counted, rng):
    index = np.stack([rng.choice(len(data), 30, replace=False) for _ in range(4)])
    first = train(data, index)
    assert torch.equal(train(data, index), first)
    assert counted == [4, 0]
    longer = np.concatenate([index, index[:1] + 1])
    assert torch.equal(train(data, longer)[:4], first)  # only the fifth is new
    assert counted[-1] == 1

    others = np.stack([rng.choice(len(data), 30, replace=False) for _ in range(4)])
    changed = Dataset(1 - data.x, data.y, data.n_classes, data.provenance)
    stale = [
        train(data, others),
        train(data, index, recipe=replace(RECIPE, learning_rate=0.01)),
        train(changed, index),
        train(data, index, seed=1),
    ]
    assert counted[-4:] == [4, 4, 4, 4]
    assert not any(torch.equal(first, other) for other in stale)


def test_changed_code_trains_again(data, counted, monkeypatch):
    index = ROWS[None]
    train(data, index)
    monkeypatch.setattr(cache, "code_version", lambda module: "other code")
    train(data, index)
    assert counted == [1, 1]


@pytest.mark.parametrize(
    "module", ["models.training", "datasets.features", "base.seeding", "platforms.private", "platforms.estimators"]
)
def test_a_docstring_changes_no_key_and_code_does(module, monkeypatch):
    """The code of the engine counts, and of the module in which a platform stands."""
    file, platform = import_module(f"mialib.{module}").__file__, f"mialib.{module}"
    read, added = Path.read_text, []

    def changed(path, **options):
        return read(path, **options) + (added[0] if path.samefile(file) else "")

    def version(text):
        added[:] = [textwrap.dedent(text)]
        cache.code_version.cache_clear()
        return cache.code_version(platform)

    monkeypatch.setattr(Path, "read_text", changed)
    plain = version('def f(x):\n    """One."""\n    return x + 1\n')
    assert version('def f(x):  # why\n    """Two."""\n    return x + 1\n"""Of f."""\n') == plain
    assert version('def f(x):\n    """One."""\n    return x + 2\n') != plain
    cache.code_version.cache_clear()


def test_an_interrupted_run_goes_on_where_it_stopped(data, counted, monkeypatch):
    index = np.arange(8 * 30).reshape(8, 30)
    whole = train(data, index)
    ModelCache().clear()
    counted.clear()

    put, kept = ModelCache.put, []

    def interrupted(self, key, parameters):
        if len(kept) == 5:
            raise KeyboardInterrupt
        put(self, key, parameters)
        kept.append(key)

    monkeypatch.setattr(ModelCache, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(data, index)
    monkeypatch.setattr(ModelCache, "put", put)
    assert torch.equal(train(data, index), whole)
    assert counted == [8, 3]


def test_a_damaged_entry_counts_as_absent(tmp_path):
    models = ModelCache(tmp_path)
    for damage in (b"", b"damaged", None):
        models.put("ab" * 32, np.arange(5.0))
        path = models.path("ab" * 32)
        path.write_bytes(path.read_bytes()[:-30] if damage is None else damage)
        assert models.get("ab" * 32) is None
        assert not path.exists()


@pytest.mark.parametrize("seal", [None, "of another", 5])
@pytest.mark.parametrize("parameters", [np.zeros(5), np.arange(5.0)[None], np.arange(5), np.arange(4.0), np.array("a")])
def test_a_readable_entry_that_was_not_put_there_counts_as_absent(tmp_path, parameters, seal):
    models, (key, other) = ModelCache(tmp_path), ("ab" * 32, "cd" * 32)
    models.put(key, np.arange(5.0))
    models.put(other, parameters)
    if seal == "of another":
        models.path(other).replace(models.path(key))
    else:
        np.savez(models.path(key), parameters=parameters, **{} if seal is None else {"seal": seal})
    assert models.get(key) is None
    assert not models.path(key).exists()
    models.put(key, np.arange(5.0))
    np.testing.assert_array_equal(models.get(key), np.arange(5.0))


def test_entries_of_before_the_checksum_are_believed_if_they_can_be_read(tmp_path):
    models, key = ModelCache(tmp_path), "ab" * 32
    before = tmp_path / "ab" / f"{key}.npz"
    before.parent.mkdir()
    np.savez(before, parameters=np.arange(5.0))
    assert models.path(key) == before
    np.testing.assert_array_equal(models.get(key), np.arange(5.0))
    whole = before.read_bytes()
    start = whole.index(np.arange(5.0).tobytes())
    before.write_bytes(whole[:start] + bytes(40) + whole[start + 40 :])  # zeros, of which the archive's CRC knows
    assert models.get(key) is None
    assert not before.exists()
    with before.open("wb") as file:
        np.save(file, np.arange(5.0))  # an array, but no archive
    assert models.get(key) is None


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_training_goes_on_where_nothing_can_be_kept_and_says_so_once(data, tmp_path, monkeypatch, fails):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, fails, full)
    index, models = ROWS[None] + np.arange(2)[:, None], ModelCache(tmp_path)
    with pytest.warns(UserWarning, match="trained models are not kept, .*: no space left on device$") as warned:
        unkept = [RECIPE.train(data, index, children(0, 2), models).parameters for _ in range(2)]
    assert len(warned) == 1
    assert list(tmp_path.rglob("*")) == []
    monkeypatch.undo()
    assert torch.equal(unkept[0], unkept[1])
    assert torch.equal(RECIPE.train(data, index, children(0, 2), models).parameters, unkept[0])
    assert models.size()[0] == 2


def test_a_folder_that_cannot_be_written_is_no_end_either(tmp_path):
    models = ModelCache(tmp_path / "file" / "models")
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="not a directory"):
        models.put("ab" * 32, np.arange(5.0))
    assert models.get("ab" * 32) is None
    assert models.size() == (0, 0)


def test_a_kill_in_the_middle_of_a_write_is_never_read(tmp_path):
    """End a process after an entry is on disk, but has no name yet; the entry is absent, the litter swept out."""
    if not (child := os.fork()):
        files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        ModelCache(tmp_path).put("ab" * 32, np.arange(5.0))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (partial,) = [path for path in tmp_path.rglob("*") if path.is_file()]

    models = ModelCache(tmp_path)
    assert not partial.exists()
    assert models.get("ab" * 32) is None
    assert models.size() == (0, 0)
