import json
import pickle
import re
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, save
from scipy.special import expit, softmax
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from mialib.auditing.audit import Settings, audit
from mialib.submission.inputs import Records
from mialib.submission.openers import OPENERS, open_file
from mialib.submission.refits import OnPlatform
from mialib.submission.subjects import Opening, Subject

ONE = Settings(n_shadow=2, seeds=1)
OWN = Opening(allow_pickle=True)


@pytest.fixture
def x(rng):
    return rng.normal(size=(30, 3)).astype(np.float32)


@pytest.fixture
def people(rng):
    """40 people with a number, a whole number and a text, and whether they are rich."""
    table = pd.DataFrame(
        {"age": rng.normal(40, 10, 40).astype("f4"), "visits": rng.integers(0, 9, 40), "town": list("abcd") * 10}
    )
    return table, np.where(table["age"] > 40, "yes", "no")


def open_(path, **allowed):
    return open_file(path, Opening(**allowed))


class Linear:
    """A model of three numbers, and what it must answer."""

    weights = np.array([[1.0, -2.0], [0.5, 1.0], [0.0, 3.0]], np.float32)

    def logits(self, x):
        return x @ self.weights

    def vectors(self, x):
        return softmax(self.logits(x), axis=1)

    def module(self, *after):
        layer = torch.nn.Linear(3, 2, bias=False)
        layer.weight.data = torch.from_numpy(self.weights.T.copy())
        return torch.nn.Sequential(layer, *after).eval()

    def onnx(self, path, nodes, outputs, n=None, features=3, constants=()):
        """Write a graph that begins with the logits ``z``."""
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["z"]), *nodes],
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [n, features])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [n, *shape]) for name, *shape in outputs],
            [numpy_helper.from_array(self.weights, "w"), *constants],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
        save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


MODEL = Linear()
SOFTMAX = helper.make_node("Softmax", ["z"], ["p"], axis=1)


def converted(model, first, path, **options):
    skl2onnx = pytest.importorskip("skl2onnx")
    path.write_bytes(skl2onnx.to_onnx(model, first, **options).SerializeToString())
    return open_file(path)


@pytest.mark.parametrize("options", [{}, {"zipmap": False}, {"zipmap": "columns"}])
@pytest.mark.parametrize("labels", [(0, 1), ("no", "yes"), (3, 7)])
def test_onnx_of_skl2onnx_names_its_classes(x, tmp_path, options, labels):
    model = LogisticRegression().fit(x, np.where(x[:, 0] > 0, labels[1], labels[0]))
    subject = converted(model, x[:1], tmp_path / "m.onnx", options=options)
    assert subject.classes.tolist() == list(labels)
    assert subject.n_features == 3
    vectors, remarks = subject.answers(x)
    np.testing.assert_allclose(vectors, model.predict_proba(x), atol=1e-6)
    assert vectors.dtype == np.float32
    assert not [said for said in remarks if "scaled" not in said]


def test_onnx_takes_a_column_for_each_input(people, tmp_path):
    table, rich = people
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer((OneHotEncoder(), ["town"]), (StandardScaler(), ["age", "visits"]))
    model = make_pipeline(columns, LogisticRegression()).fit(table, rich)
    subject = converted(model, table[:1], tmp_path / "m.onnx")
    assert list(subject.names) == ["age", "visits", "town"]
    assert subject.kinds == {"age": "number", "visits": "number", "town": "text"}
    shuffled = table[["town", "visits", "age"]].assign(more=1)
    np.testing.assert_allclose(subject.answers(shuffled)[0], model.predict_proba(table), atol=1e-5)
    with pytest.raises(ValueError, match="no columns 'town', which the model was fitted on"):
        subject.answers(table.drop(columns="town"))
    with pytest.raises(ValueError, match="whole numbers for 'visits'; the records have fractions there"):
        subject.answers(table.assign(visits=0.5))


def test_onnx_of_one_sigmoid_is_two_classes(x, tmp_path):
    nodes = [helper.make_node("Gather", ["z", "one"], ["of"], axis=1), helper.make_node("Sigmoid", ["of"], ["p"])]
    one = numpy_helper.from_array(np.array([1]), "one")
    subject = open_file(MODEL.onnx(tmp_path / "m.onnx", nodes, [("p", 1)], constants=[one]))
    vectors, remarks = subject.answers(x)
    p = expit(MODEL.logits(x)[:, 1])
    np.testing.assert_allclose(vectors, np.stack([1 - p, p], axis=1), atol=1e-6)
    assert remarks == ["The model gives one probability p a record: it was taken as (1 - p, p)."]


def test_onnx_of_logits_needs_a_word(x, tmp_path):
    path = MODEL.onnx(tmp_path / "m.onnx", [], [("z", 2)])
    with pytest.raises(ValueError, match=r"no probabilities that sum to one .*; say --logits if they are logits"):
        open_file(path).answers(x)
    vectors, remarks = open_(path, logits=True).answers(x)
    np.testing.assert_allclose(vectors, MODEL.vectors(x), atol=1e-6)
    assert remarks == ["A softmax was taken of the model's logits."]


def test_onnx_of_several_outputs(x, tmp_path):
    vectors, remarks = open_file(MODEL.onnx(tmp_path / "m.onnx", [SOFTMAX], [("z", 2), ("p", 2)])).answers(x)
    np.testing.assert_allclose(vectors, MODEL.vectors(x), atol=1e-6)
    assert remarks == ["Of the model's outputs 'z', 'p' the probabilities were taken, 'p'."]
    twice = [helper.make_node("Add", ["z", "z"], ["y"])]
    with pytest.raises(ValueError, match="has the outputs 'z', 'y', of which none holds probabilities"):
        open_file(MODEL.onnx(tmp_path / "m.onnx", twice, [("z", 2), ("y", 2)])).answers(x)


def test_onnx_of_a_fixed_batch(x, tmp_path):
    for n in (1, 8):
        subject = open_file(MODEL.onnx(tmp_path / "m.onnx", [SOFTMAX], [("p", 2)], n))
        np.testing.assert_allclose(subject.answers(x)[0], MODEL.vectors(x), atol=1e-6)


def test_onnx_of_labels_alone(x, tmp_path):
    node = helper.make_node("ArgMax", ["z"], ["label"], axis=1, keepdims=0)
    path = MODEL.onnx(tmp_path / "m.onnx", [node], [])
    import onnx

    model = onnx.load(path)
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, [None]))
    save(model, path)
    subject = open_file(path)
    with pytest.raises(ValueError, match="answers with labels, and does not say which there are"):
        subject.answers(x)
    vectors, remarks = subject.knowing(np.array([1, 0, 1])).answers(x)
    np.testing.assert_array_equal(vectors.argmax(axis=1), MODEL.logits(x).argmax(axis=1))
    assert remarks == ["The model answers with labels only: the class that it names has probability 1."]


def test_onnx_of_a_regressor(x, tmp_path):
    model = RandomForestRegressor(5, random_state=0).fit(x, x[:, 0])
    subject = converted(model, x[:1], tmp_path / "m.onnx")
    assert subject.task == "regression"
    values, _ = subject.answers(x)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, model.predict(x), atol=1e-5)


def test_another_width_is_one_sentence(x, tmp_path):
    with pytest.raises(ValueError, match=r"^m\.onnx: records asked about have 2 features; .* fitted on 3$"):
        open_file(MODEL.onnx(tmp_path / "m.onnx", [SOFTMAX], [("p", 2)])).answers(x[:, :2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(MODEL.module(torch.nn.Softmax(1))).save(tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"^m\.pt takes 3 features, and the records have 2$"):
        open_file(tmp_path / "m.pt", OWN).answers(x[:, :2])
    with pytest.raises(ValueError, match=r"^records asked about have 2 features; the model was fitted on 3$"):
        Subject.from_model(LogisticRegression().fit(x, x[:, 0] > 0)).answers(x[:, :2])


@pytest.mark.parametrize("ending", OPENERS)
@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\n", b"", b"not a model", b"\x80\x04."]
)
def test_a_damaged_file_is_one_sentence_with_its_name(tmp_path, ending, content):
    path = tmp_path / f"model{ending}"
    path.write_bytes(content)
    for package in {".cbm": ("catboost",), ".json": ("xgboost",), ".ubj": ("xgboost",)}.get(ending, ()):
        pytest.importorskip(package)
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        open_file(path, OWN)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


class Hostile:
    """Where its pickle is opened, a file is created."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("ending", [*OPENERS, ".npz", ".csv", ".parquet"])
def test_a_pickle_runs_under_no_ending(tmp_path, ending):
    harm, path = tmp_path / "harm", tmp_path / f"model{ending}"
    path.write_bytes(pickle.dumps(Hostile(harm)))
    for package in {".cbm": ("catboost",), ".json": ("xgboost",), ".ubj": ("xgboost",)}.get(ending, ()):
        pytest.importorskip(package)
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        (open_file if ending in OPENERS else Records.from_file)(path)
    assert "\n" not in str(caught.value)
    assert not harm.exists()
    if ending == ".pkl":  # with consent it does run
        with pytest.raises(ValueError, match="holds a TextIOWrapper, which is no model"):
            open_file(path, OWN)
        assert harm.exists()


def test_a_skops_file_with_a_type_that_runs_is_refused(tmp_path):
    from skops import io

    io.dump(Hostile(tmp_path / "harm"), tmp_path / "m.skops")
    with pytest.raises(ValueError, match=r"types that are not known to be safe; if you know them, say --trust .*open"):
        open_file(tmp_path / "m.skops")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("package", ["keras", "lightgbm", "xgboost", "catboost", "skops", "onnxruntime"])
def test_a_package_that_is_not_there_is_named_with_its_extra(tmp_path, monkeypatch, package):
    endings = {"keras": ".keras", "lightgbm": ".txt", "xgboost": ".ubj", "catboost": ".cbm", "skops": ".skops"}
    path = tmp_path / f"model{endings.get(package, '.onnx')}"
    path.write_bytes(b"a model")
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    extra = package if package in ("keras", "lightgbm", "xgboost", "catboost") else "audit"
    with pytest.raises(ValueError, match=rf'needs {package}, which is not installed: pip install "mialib\[{extra}\]"'):
        open_file(path)


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(path)
    return path


@pytest.mark.parametrize("free", [True, False])
def test_a_program_of_torch_export(x, tmp_path, free):
    shapes = ({0: torch.export.Dim("n")},) if free else None
    program = torch.export.export(MODEL.module(torch.nn.Softmax(1)), (torch.zeros(8, 3),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "m.pt2")
    with pytest.raises(ValueError, match=r"can run code when it is opened; export .* or say --allow-pickle"):
        open_file(tmp_path / "m.pt2")
    subject = open_file(tmp_path / "m.pt2", OWN)
    assert subject.n_features == 3
    np.testing.assert_allclose(subject.answers(x)[0], MODEL.vectors(x), atol=1e-6)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("ending", [".pt", ".pth", ".pt2"])
def test_weights_and_pickled_modules_are_one_sentence_with_the_ways_on(tmp_path, ending, whole, old):
    module = MODEL.module()
    path = tmp_path / f"m{ending}"
    torch.save(module if whole else module.state_dict(), path, _use_new_zipfile_serialization=not old)
    with pytest.raises(ValueError, match=r"written by torch\.save.*ONNX.*torch\.jit\.trace.*audit\(model.*safetensors"):
        open_file(path, OWN)


class Named(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x) -> dict[str, torch.Tensor]:
        return {"logits": self.net(x)}


class Several(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        z = self.net(x)
        return z, torch.softmax(z, 1), x.sum()


class Hidden(Several):
    def forward(self, x):
        z = self.net(x)
        return {"logits": z, "hidden": x}


class OnGpu(torch.nn.Module):
    def forward(self, x):
        return x.to(torch.device("cuda:0"))


def test_the_one_tensor_of_several_outputs(x, tmp_path):
    net = MODEL.module()
    for module in (Named(net), script(Named(net), tmp_path / "m.pt")):
        vectors, remarks = Subject.from_model(module, Opening(logits=True, allow_pickle=True)).answers(x)
        np.testing.assert_allclose(vectors, MODEL.vectors(x), atol=1e-6)
        assert remarks == ["A softmax was taken of the model's logits."]
    vectors, remarks = open_file(script(Several(net), tmp_path / "m.pt"), OWN).answers(x)
    np.testing.assert_allclose(vectors, MODEL.vectors(x), atol=1e-6)
    assert remarks == ["Of the model's outputs '0', '1' the probabilities were taken, '1'."]
    with pytest.raises(ValueError, match="has the outputs 'logits', 'hidden', of which none holds probabilities"):
        open_file(script(Hidden(net), tmp_path / "m.pt"), OWN).answers(x)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_file_for_a_gpu_is_one_sentence(tmp_path):
    with pytest.raises(
        ValueError, match="asks for cuda:0, which this machine does not have; move the model to the CPU"
    ):
        open_file(script(OnGpu(), tmp_path / "m.pt"))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_safetensors_file_is_a_chain_of_layers(x, rng, tmp_path, activation):
    from safetensors.numpy import save_file

    v, b, c = rng.normal(size=(2, 8)), rng.normal(size=8), rng.normal(size=2)
    w = rng.normal(size=(8, 3))
    tensors = {"0.weight": w, "0.bias": b, "2.weight": v, "2.bias": c}
    save_file({name: of.astype(np.float32) for name, of in tensors.items()}, tmp_path / "m.safetensors")
    subject = open_(tmp_path / "m.safetensors", activation=activation)
    assert (subject.n_features, subject.refit.known) == (3, True)
    hidden = np.tanh(x @ w.T + b) if activation == "tanh" else np.maximum(x @ w.T + b, 0)
    for of in (x, pd.DataFrame(x)):
        np.testing.assert_allclose(subject.answers(of)[0], softmax(hidden @ v.T + c, axis=1), atol=1e-5)
    assert subject.refit.platform.architecture.hidden == (8,)


def test_weights_of_another_kind_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"conv.weight": np.zeros((2, 3, 3, 3)), "conv.bias": np.zeros(2)}, tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="not a chain of fully connected layers"):
        open_file(tmp_path / "m.safetensors")


def test_shadow_models_of_a_file_are_said_to_be_of_its_kind_or_not(x, rng, tmp_path):
    from safetensors.torch import save_file

    save_file(
        torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Linear(8, 2)).state_dict(), tmp_path / "a.safetensors"
    )
    script(MODEL.module(torch.nn.Softmax(1)), tmp_path / "b.pt")
    y = np.arange(15) % 2
    for name, known in (("a.safetensors", True), ("b.pt", False)):
        opening = Opening(epochs=3, allow_pickle=True)
        found = audit(tmp_path / name, (x[:15], y), (x[15:], y), settings=ONE, opening=opening)
        assert any("How the model was trained is not known" in sentence for sentence in found.limits()) != known
        assert ("(8,)" in found.shadows[0].kind) == known


@pytest.mark.parametrize("ending", ["json", "ubj"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_xgboost(people, tmp_path, ending, n_classes):
    xgboost = pytest.importorskip("xgboost")
    table = people[0].astype({"town": "category"})
    y = table["visits"].to_numpy() % n_classes
    model = xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1, enable_categorical=True).fit(table, y)
    model.save_model(tmp_path / f"m.{ending}")
    subject = open_file(tmp_path / f"m.{ending}")
    np.testing.assert_allclose(
        subject.answers(table[["town", "age", "visits"]])[0], model.predict_proba(table), atol=1e-6
    )
    assert list(subject.names) == list(table)
    assert subject.kinds == {"age": "number", "visits": "number", "town": "category"}
    np.testing.assert_allclose(
        subject.answers(table.astype({"town": str})[1:3])[0], model.predict_proba(table)[1:3], atol=1e-6
    )
    assert not subject.refit.known
    assert str(subject.refit) == (
        "models of the same kind, XGBClassifier, with n_estimators = 4, max_depth = 2 and defaults otherwise"
    )
    again = subject.refit.fit(table, y, 0)
    assert again.get_booster().num_boosted_rounds() == 4
    with pytest.raises(ValueError, match="no columns 'age'"):
        subject.answers(table.drop(columns="age"))


def test_xgboost_of_other_objectives(x, tmp_path):
    xgboost = pytest.importorskip("xgboost")
    y, path = x[:, 0] > 0, tmp_path / "m.json"

    def trained(**settings):
        booster = xgboost.train(settings, xgboost.DMatrix(x, y), 3)
        booster.save_model(path)
        return booster, open_file(path)

    booster, subject = trained(objective="reg:squarederror")
    assert subject.task == "regression"
    np.testing.assert_allclose(subject.answers(x)[0], booster.predict(xgboost.DMatrix(x)), atol=1e-6)
    assert (subject.names, subject.n_features) == (None, 3)
    booster, subject = trained(objective="binary:logitraw")
    vectors, remarks = subject.answers(x)
    np.testing.assert_allclose(vectors[:, 1], expit(booster.predict(xgboost.DMatrix(x))), atol=1e-6)
    assert remarks == ["The model gives one logit a record: its logistic function p was taken as (1 - p, p)."]
    booster, subject = trained(objective="multi:softmax", num_class=2)
    np.testing.assert_array_equal(subject.answers(x)[0].argmax(axis=1), booster.predict(xgboost.DMatrix(x)))
    np.testing.assert_allclose(Subject.from_model(booster).answers(x)[0], subject.answers(x)[0])
    with pytest.raises(ValueError, match="was trained for rank:pairwise; an audit is of a classifier or a regressor"):
        trained(objective="rank:pairwise")
    path.write_text(json.dumps({"a": 1}))
    with pytest.raises(ValueError, match="is no model of XGBoost, or it is damaged"):
        open_file(path)


def lightgbm_of(table, y, path, **settings):
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=4, n_jobs=1, verbose=-1, min_child_samples=3, **settings).fit(table, y)
    model.booster_.save_model(path)
    return model, open_file(path)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_lightgbm(people, tmp_path, n_classes):
    table = people[0].rename(columns={"age": "age group"}).astype({"town": "category"})
    y = table["visits"].to_numpy() % n_classes
    model, subject = lightgbm_of(table, y, tmp_path / "m.txt", num_leaves=5)
    expected = model.predict_proba(table)
    assert list(subject.names) == ["age_group", "visits", "town"]
    assert subject.kinds == {"age_group": "number", "visits": "number", "town": "category"}
    for found in (subject, Subject.from_model(model), Subject.from_model(model.booster_)):
        np.testing.assert_allclose(found.answers(table[["town", "age group", "visits"]])[0], expected, atol=1e-6)
        as_text = table.astype({"town": "object"})[:7]  # some of the towns
        np.testing.assert_allclose(found.answers(as_text)[0], expected[:7], atol=1e-6)
        with pytest.raises(
            ValueError, match=r"'town' is int64 here, and the model takes .*, such as 'a', 'b', 'c'.*; give .* Parquet"
        ):
            found.answers(table.assign(town=1))
    assert subject.refit.known
    again = subject.refit.fit(subject.fitted(table), y, 0)
    assert (again.num_leaves, again.min_child_samples, again.n_estimators) == (5, 3, 4)
    np.testing.assert_allclose(again.predict_proba(subject.fitted(table)), expected, atol=1e-6)


def test_lightgbm_of_other_objectives(people, tmp_path):
    table, y = people[0][["age", "visits"]], people[0]["visits"].to_numpy() % 3
    model, subject = lightgbm_of(table, y, tmp_path / "m.txt", objective="multiclassova")
    vectors, remarks = subject.answers(table)
    np.testing.assert_array_equal(vectors.argmax(axis=1), model.predict_proba(table).argmax(axis=1))
    np.testing.assert_allclose(vectors.sum(axis=1), 1, atol=1e-6)
    assert re.match("Prediction vectors were scaled to sum to one", *remarks)
    import lightgbm

    values = lightgbm.LGBMRegressor(n_estimators=4, n_jobs=1, verbose=-1).fit(table.to_numpy(), table["age"])
    values.booster_.save_model(tmp_path / "r.txt")
    subject = open_file(tmp_path / "r.txt")
    assert (subject.task, subject.names, subject.n_features) == ("regression", None, 2)
    np.testing.assert_allclose(subject.answers(table)[0], values.predict(table.to_numpy()))


def test_catboost(people, tmp_path):
    catboost = pytest.importorskip("catboost")
    table, rich = people
    quiet = {"iterations": 4, "depth": 2, "verbose": False, "allow_writing_files": False}
    model = catboost.CatBoostClassifier(**quiet, cat_features=["town"]).fit(table, rich)
    model.save_model(tmp_path / "m.cbm")
    subject = open_file(tmp_path / "m.cbm")
    assert list(subject.classes) == ["no", "yes"]
    assert subject.kinds == {"age": "number", "visits": "number", "town": "text"}
    np.testing.assert_allclose(
        subject.answers(table[["town", "age", "visits"]])[0], model.predict_proba(table), atol=1e-6
    )
    for found in (subject, Subject.from_model(model)):
        again = found.refit.fit(table, rich, 0)
        assert (again.tree_count_, again.get_param("depth"), again.get_cat_feature_indices()) == (4, 2, [2])
    values = catboost.CatBoostRegressor(**quiet).fit(table[["age"]].to_numpy(), table["age"])
    values.save_model(tmp_path / "r.cbm")
    subject = open_file(tmp_path / "r.cbm")
    assert (subject.task, subject.names, subject.n_features) == ("regression", None, 1)
    np.testing.assert_allclose(subject.answers(table[["age"]])[0], values.predict(table[["age"]].to_numpy()))


def test_keras(x, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, "softmax"), keras.layers.Dropout(0.5)])
    model.save(tmp_path / "m.keras")
    subject = open_file(tmp_path / "m.keras")
    assert subject.n_features == 3
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(subject.answers(x)[0], expected, atol=1e-6)
    np.testing.assert_allclose(Subject.from_model(model).answers(x)[0], expected, atol=1e-6)
    keras.Sequential([keras.layers.Input((3,)), keras.layers.Lambda(lambda x: x)]).save(tmp_path / "code.keras")
    with pytest.raises(ValueError, match=r"code\.keras is no model of Keras, .*Lambda"):
        open_file(tmp_path / "code.keras", OWN)


class Duck:
    """Answers as the model, and follows scikit-learn in nothing else."""

    def predict_proba(self, x):
        return MODEL.vectors(np.asarray(x))


class Labels:
    """Knows labels only."""

    def predict(self, x):
        return np.array(["no", "yes"])[MODEL.logits(np.asarray(x)).argmax(axis=1)]


def test_whatever_has_predict_proba(x):
    subject = Subject.from_model(Duck())
    assert subject.classes is None
    assert isinstance(subject.refit, OnPlatform)
    np.testing.assert_allclose(subject.answers(x)[0], MODEL.vectors(x), atol=1e-6)
    np.testing.assert_allclose(subject.answers(pd.DataFrame(x))[0], MODEL.vectors(x), atol=1e-6)
    for model in (MODEL.module(torch.nn.Softmax(1)), MODEL.module(torch.nn.Softmax(1)).double(), MODEL.vectors):
        np.testing.assert_allclose(Subject.from_model(model).answers(x)[0], MODEL.vectors(x), atol=1e-6)


def test_a_pickle_of_what_has_predict_proba(x, tmp_path):
    import joblib

    joblib.dump(Duck(), tmp_path / "m.joblib")
    subject = open_file(tmp_path / "m.joblib", OWN)
    assert subject.name == "m.joblib"
    np.testing.assert_allclose(subject.answers(x)[0], MODEL.vectors(x), atol=1e-6)
    joblib.dump({"weights": MODEL.weights}, tmp_path / "m.joblib")
    with pytest.raises(ValueError, match=r"m\.joblib holds a dict, which is no model that can be asked"):
        open_file(tmp_path / "m.joblib", OWN)


def test_models_that_answer_with_labels(x):
    said = ["The model answers with labels only: the class that it names has probability 1."]
    rich = Labels().predict(x)
    subject = Subject.from_model(Labels()).knowing(rich)
    assert (subject.classes.tolist(), subject.partial) == (["no", "yes"], True)
    vectors, remarks = subject.answers(x)
    np.testing.assert_array_equal(subject.classes[vectors.argmax(axis=1)], rich)
    assert remarks == said
    for model in (RidgeClassifier(), SVC()):
        subject = Subject.from_model(model.fit(x, rich))
        vectors, remarks = subject.answers(x)
        np.testing.assert_array_equal(vectors, model.predict(x)[:, None] == model.classes_)
        assert remarks == said
    with pytest.raises(ValueError, match=r"the answers are labels such as 'no'|'yes'; give prediction vectors"):
        Subject.from_model(Labels().predict).answers(x)


def test_estimators_that_are_no_subjects(x):
    y = (x[:, 0] > 0).astype(int)
    from sklearn.multioutput import MultiOutputClassifier
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(ValueError, match="predicts 2 targets; an audit is of one"):
        Subject.from_model(MultiOutputClassifier(LogisticRegression()).fit(x, np.c_[y, y]))
    with pytest.raises(ValueError, match="holds LogisticRegression, which is not fitted; fit it first"):
        Subject.from_model(LogisticRegression())
    with pytest.raises(ValueError, match="holds StandardScaler, which has neither predict_proba nor predict"):
        Subject.from_estimator(StandardScaler().fit(x), "it")


def test_regressors(x):
    model = RandomForestRegressor(5, random_state=0).fit(x, x[:, 0])
    subject = Subject.from_model(model)
    assert (subject.task, subject.classes) == ("regression", None)
    np.testing.assert_array_equal(subject.answers(x)[0], model.predict(x))
    subject = Subject.from_model(lambda x: x[:, :1], Opening(regression=True))
    np.testing.assert_array_equal(subject.answers(x)[0], x[:, 0].astype(np.float64))
    with pytest.raises(ValueError, match=r"predicted values have shape \(30, 2\); it must be \(30,\)"):
        Subject.from_model(lambda x: x[:, :2], Opening(regression=True)).answers(x)


@pytest.mark.parametrize("column", [None, "more"])
def test_a_pipeline_of_texts(rng, column):
    table = pd.DataFrame({"text": [" ".join(rng.choice(["ab", "cd", "ef"], 4)) for _ in range(30)]})
    y = table["text"].str.contains("ab ab").to_numpy()
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(table["text"], y)
    subject = Subject.from_model(model)
    expected = model.predict_proba(table["text"])
    asked = table if column is None else table.assign(more=1.0)
    np.testing.assert_allclose(subject.answers(asked)[0], expected, atol=1e-6)
    np.testing.assert_allclose(subject.answers(table["text"].to_numpy())[0], expected, atol=1e-6)
    again = subject.refit.fit(asked, y, 0)
    np.testing.assert_allclose(again.predict_proba(asked), expected, atol=1e-6)
    assert "LogisticRegression" in str(subject.refit)
    with pytest.raises(ValueError, match="takes one text, and the records have 2 columns of text"):
        subject.answers(table.assign(other="a"))


def test_what_a_pipeline_takes_in_each_column(people):
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

    table, rich = people
    table = table.assign(code=["01", "02"] * 20, level=[1, 2, 3, 4] * 10, other="a", free=[1.0, 2.0] * 20)
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["code", "town"]),
        (OrdinalEncoder(), ["level"]),
        (StandardScaler(), ["age"]),
        (FunctionTransformer(np.log1p), ["free"]),
        ("drop", ["other"]),
        remainder="passthrough",
    )
    subject = Subject.from_model(make_pipeline(columns, LogisticRegression()).fit(table, rich))
    assert subject.kinds == {
        "age": "number",
        "visits": "number",
        "town": "text",
        "code": "text",
        "level": "number",
    }
    divided = table[["age", "town"]].astype({"town": "category"})
    subject = Subject.from_model(HistGradientBoostingClassifier(max_iter=2).fit(divided, rich))
    assert subject.kinds == {"age": "number", "town": "category"}
    with pytest.raises(ValueError, match=r"column 'town' is (str|object) here, and the model takes its own categories"):
        subject.answers(table)
    assert Subject.from_model(LogisticRegression().fit(table[["age"]].to_numpy(), rich)).kinds == {}


def test_a_column_is_known_by_its_name_alone(people):
    table, rich = people[0][["age", "visits"]], people[1]
    model = LogisticRegression().fit(table, rich)
    subject = Subject.from_model(model)
    np.testing.assert_allclose(
        subject.answers(table[["visits", "age"]].assign(id=range(40)))[0], model.predict_proba(table), atol=1e-6
    )
    np.testing.assert_allclose(subject.answers(table.to_numpy())[0], model.predict_proba(table), atol=1e-6)


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 60)])
def test_catboost_is_audited_by_models_of_its_kind(weights):
    catboost = pytest.importorskip("catboost")
    x = np.random.default_rng(0).normal(size=(120, 3))
    y = (x[:, 0] > 0).astype(int)
    model = catboost.CatBoostClassifier(
        iterations=3, depth=2, verbose=0, thread_count=1, allow_writing_files=False
    ).fit(x[:60], y[:60])
    parts = (Records(x[rows], y[rows], weights=weights) for rows in (slice(0, 60), slice(60, None)))
    assert audit(model, *parts, settings=ONE).has_own_kind


def test_a_model_that_answers_with_labels_is_audited_by_models_of_its_kind():
    x = np.random.default_rng(0).normal(size=(120, 3))
    y = np.where(x[:, 0] > 0, "yes", "no")
    found = audit(RidgeClassifier().fit(x[:60], y[:60]), (x[:60], y[:60]), (x[60:], y[60:]), settings=ONE)
    assert found.has_own_kind
    assert set(np.unique(found.shadows[0].vectors)) == {0, 1}
    right = found.shadows[0].vectors.argmax(axis=2) == found.target.labels
    assert right.mean() > 0.8
    assert any("The model answers with labels only" in said for said in found.limits())
