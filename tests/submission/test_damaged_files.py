"""Files that are damaged: each is one sentence with its name, for every kind; `fuzz_files.py` looks for more."""

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from damage import odd_arrays
from fuzz_files import make, tried
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from skops import io as skops
from sound_files import MEMBER, TABLE, VECTORS, X, Y, sound

from mialib.submission.doors import named
from mialib.submission.inputs import Records
from mialib.submission.openers import open_file
from mialib.submission.saved import SavedAnswers
from mialib.submission.subjects import Opening


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sound")


@pytest.fixture(scope="module")
def doors(folder):
    return sound(folder)


def test_files_of_every_kind(folder, doors):
    """Sound files are read; two of each kind, damaged, are read or refused in a sentence."""
    readable = {"linear.skops", "net.keras", "linear.onnx", "lightgbm.txt", "xgboost.json", "xgboost.ubj"}
    for door, names in doors.items():
        for name in names:
            if door != "model" or name in readable:
                assert tried(door, folder / name, folder) == ("read", "")
    n_kinds = sum(map(len, doors.values()))
    for index in range(2 * n_kinds):
        door, name, path = make(index, 0, folder, doors)
        outcome, said = tried(door, path, folder)
        assert outcome in ("read", "sentence"), f"file {index}, {name}: {said}"


class Panic(BaseException):
    """As what Rust raises in Python."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("it is no table"), "a/m.csv: it is no table"),
        (ValueError("a/m.csv is no table"), "a/m.csv is no table"),
        (ValueError("two\n lines"), "a/m.csv: two lines"),
        (UnicodeError("m.csv is no text"), "a/m.csv: m.csv is no text"),
        (Panic("out of range"), "a/m.csv cannot be read (out of range)"),
        (MemoryError(), "a/m.csv cannot be read (MemoryError)"),
        (KeyError("k"), "a/m.csv cannot be read ('k')"),
    ],
)
def test_whatever_is_raised_is_a_sentence_with_the_name(error, said):
    with pytest.raises(ValueError) as caught, named("a/m.csv"):  # noqa: PT011
        raise error
    assert type(caught.value) is ValueError
    assert str(caught.value) == said


def test_long_words_are_cut_and_a_key_of_the_user_is_not_caught():
    for words in ("m.csv " + "x" * 9999, "x" * 9999):
        with pytest.raises(ValueError, match=r"m\.csv.*xxx …") as caught, named("a/m.csv"):
            raise ValueError(words)
        assert len(str(caught.value)) < 500
    with pytest.raises(KeyboardInterrupt), named("a/m.csv"):
        raise KeyboardInterrupt


ODD = odd_arrays(Y.astype(float))


@pytest.mark.parametrize("odd", ODD)
def test_arrays_of_every_other_form(tmp_path, odd):
    """Records, labels and answers of each: read, or refused with the name of the file."""
    path = tmp_path / "odd.npz"
    columns = np.asfortranarray(np.stack([ODD[odd]] * 2, axis=-1)) if ODD[odd].ndim == 1 else ODD[odd]
    for arrays in ({"x": columns, "y": Y}, {"x": X, "y": ODD[odd]}):
        np.savez(path, **arrays)
        assert tried("records", path, tmp_path)[0] == "sentence" or len(Records.from_file(path)) == len(Y)
    for arrays in ({"vectors": columns}, {"label": ODD[odd]}, {"member": ODD[odd]}):
        np.savez(path, **{"vectors": VECTORS, "label": Y, "member": MEMBER} | arrays)
        assert tried("saved", path, tmp_path)[0] in ("read", "sentence")
    np.savez(tmp_path / "purchase100.npz", features=columns, labels=ODD[odd])
    assert tried("own", tmp_path / "purchase100.npz", tmp_path)[0] == "sentence"


@pytest.mark.parametrize("odd", ["0-d", "structured", "void", "dates", "complex", "objects"])
def test_features_that_are_no_numbers_are_refused(tmp_path, odd):
    np.savez(tmp_path / "odd.npz", x=ODD[odd], y=Y)
    with pytest.raises(ValueError, match=r"odd\.npz"):
        Records.from_file(tmp_path / "odd.npz")


def test_infinite_labels_are_refused(tmp_path):
    np.savez(tmp_path / "odd.npz", x=X, y=ODD["infinite"])
    with pytest.raises(ValueError, match=r"odd\.npz: 40 labels are infinite"):
        Records.from_file(tmp_path / "odd.npz")


def with_members(path, changed):
    """Write an archive again, with some of its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | changed).items():
            archive.writestr(name, content)


def header(shape):
    """Return an array of numpy's that says it has a shape, and holds one number."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(8)


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 2**62), (4_000_000_000, 3)])
def test_an_array_that_says_it_is_huge_reserves_no_memory(tmp_path, shape, monkeypatch):
    path = tmp_path / "huge.npz"
    np.savez(path, x=X, y=Y)
    with_members(path, {"x.npy": header(shape)})
    monkeypatch.setattr(np, "ndarray", None)  # with which numpy reserves it
    with pytest.raises(ValueError, match=r"huge\.npz.*'x\.npy' in it says that it holds \d+ bytes; it does not"):
        Records.from_file(path)


def test_a_member_that_says_it_is_huge_reserves_no_memory(tmp_path):
    path = tmp_path / "huge.npz"
    np.savez(path, x=X, y=Y)
    body = bytearray(path.read_bytes())
    at = body.rindex(b"PK\x01\x02") + 24
    body[at : at + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(body)
    with pytest.raises(ValueError, match=r"huge\.npz.*cannot become 2147483648"):
        SavedAnswers.from_file(path)


def changed_json(folder, tmp_path, change):
    """Write a model of XGBoost of which `change` has changed the first tree."""
    content = json.loads((folder / "xgboost.json").read_bytes())
    change(content["learner"]["gradient_booster"]["model"]["trees"][0])
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("of", "node", "value"),
    [
        ("left_children", 1, 0),  # which never ends
        ("left_children", 1, 2**31 - 2),
        ("left_children", 1, -(10**20)),
        ("parents", 4, 10**20),
        ("split_indices", 0, 999),
        ("split_conditions", 0, "a"),
        ("right_children", slice(2, None), []),
        ("split_type", 0, 1),
    ],
)
def test_trees_of_xgboost_that_are_none_do_not_crash_it(folder, doors, tmp_path, of, node, value):
    path = changed_json(folder, tmp_path, lambda tree: tree[of].__setitem__(node, value))
    with pytest.raises(ValueError, match=r"m\.json is no model of XGBoost, or it is damaged"):
        open_file(path)


def test_a_list_in_ubjson_that_says_it_is_huge_does_not_crash_xgboost(folder, doors, tmp_path):
    body = (folder / "xgboost.ubj").read_bytes()
    at = body.index(b"[$d#L") + 5
    for length in (2**40, -1, 10**18):
        (tmp_path / "m.ubj").write_bytes(body[:at] + length.to_bytes(8, "big", signed=True) + body[at + 8 :])
        with pytest.raises(ValueError, match=r"m\.ubj is no model of XGBoost, or it is damaged \(it ends before"):
            open_file(tmp_path / "m.ubj")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("left_child=2 -2 3 -1", "left_child=0 -2 3 -1"),
        ("left_child=2 -2 3 -1", "left_child=9 -2 3 -1"),
        ("split_feature=1 2", "split_feature=1 7"),
        ("num_leaves=5", "num_leaves=2147483647"),
        ("Tree=1\n", "Tree=1\n\n"),
        ("threshold=", "thresholds="),
        ("binary sigmoid", "binary sigmoi\0"),
        ("[verbosity: ", ""),
        ("max_feature_idx=2", "max_feature_idx=2000000000"),
    ],
)
def test_trees_of_lightgbm_that_are_none_do_not_crash_it(folder, doors, tmp_path, old, new):
    text = (folder / "lightgbm.txt").read_text()
    assert old in text
    (tmp_path / "m.txt").write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"m\.txt is no model of LightGBM, or it is damaged"):
        open_file(tmp_path / "m.txt")


@pytest.mark.parametrize(
    ("kind", "field", "node", "value"),
    [
        (DecisionTreeClassifier, "left_child", 0, 0),  # which never ends
        (DecisionTreeClassifier, "right_child", 0, 10**6),
        (DecisionTreeClassifier, "right_child", 0, -1),
        (DecisionTreeClassifier, "feature", 0, 3),
        (DecisionTreeClassifier, "feature", 0, -5),
        (HistGradientBoostingClassifier, "left", 0, 10**6),
        (HistGradientBoostingClassifier, "feature_idx", 0, 3),
    ],
)
def test_trees_of_scikit_learn_that_are_none_do_not_crash_it(tmp_path, kind, field, node, value):
    x = np.random.default_rng(0).random((60, 3))
    model = kind(random_state=0).fit(x, x[:, 0] > 0.5)
    skops.dump(model, tmp_path / "sound.skops")
    types = tuple(skops.get_untrusted_types(file=tmp_path / "sound.skops"))
    assert open_file(tmp_path / "sound.skops", Opening(trust=types)).answers(x)[0].shape == (60, 2)
    if kind is DecisionTreeClassifier:
        state = model.tree_.__getstate__()
        state["nodes"][field][node] = value
        model.tree_.__setstate__(state)
    else:
        model._predictors[0][0].nodes[field][node] = value
    skops.dump(make_pipeline(model), tmp_path / "m.skops")
    with pytest.raises(ValueError, match=r"m\.skops is no file of skops, or it is damaged \((a tree|it)"):
        open_file(tmp_path / "m.skops", Opening(trust=types))


def test_boosters_of_every_kind_are_still_opened(tmp_path):
    """Trees with categories, of several classes, of one leaf and of none: what is checked is never more than is so."""
    import lightgbm
    import xgboost

    table = TABLE.assign(town=pd.Categorical(list("abcd") * 10))
    three, values = np.arange(40) % 3, X[:, 0]
    small = {"n_estimators": 3, "n_jobs": 1}
    for i, (model, y) in enumerate(
        [
            (xgboost.XGBClassifier(enable_categorical=True, max_cat_to_onehot=1, **small), three),
            (xgboost.XGBRegressor(enable_categorical=True, booster="dart", gamma=1, **small), values),
            (xgboost.XGBClassifier(num_parallel_tree=2, max_leaves=2, grow_policy="lossguide", **small), Y),
            (xgboost.XGBRegressor(booster="gblinear", **small), values),
            (lightgbm.LGBMClassifier(min_child_samples=2, min_data_per_group=1, verbose=-1, **small), three),
            (lightgbm.LGBMRegressor(linear_tree=True, min_child_samples=5, verbose=-1, **small), values),
            (lightgbm.LGBMClassifier(min_child_samples=99, verbose=-1, **small), Y),
        ]
    ):
        x = table if getattr(model, "enable_categorical", True) and i not in (2, 3, 5) else TABLE
        model.fit(x, y)
        is_xgboost = hasattr(model, "save_model")
        for ending in ("json", "ubj") if is_xgboost else ("txt",):
            path = tmp_path / f"{i}.{ending}"
            model.save_model(path) if is_xgboost else model.booster_.save_model(path)
            assert len(open_file(path).answers(x)[0]) == 40


def test_answers_that_a_damaged_model_gives_name_it(folder, doors, tmp_path):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "net.safetensors")
    tensors["0.weight"][:] = np.nan
    save_file(tensors, tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"^m\.safetensors: 40 prediction vectors hold NaN or infinity"):
        open_file(tmp_path / "m.safetensors").answers(X)
