import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from mialib.auditing.asking import answers
from mialib.auditing.audit import audit
from mialib.cli import main
from mialib.submission.openers import open_file
from mialib.submission.subjects import Opening, Subject

X, Y = np.eye(3, dtype=np.float32).repeat(4, axis=0), np.arange(12) % 2
OWN = Opening(allow_pickle=True)


class Writes(torch.nn.Module):
    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, x):
        found = torch.from_file(self.path, shared=True, size=2)
        found.fill_(1.0)
        return torch.softmax(x[:, :2] + found, 1)


class Reads(Writes):
    def forward(self, x):
        return torch.softmax(0 * x[:, :2] + torch.from_file(self.path, size=2), 1)


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(np.float32([0, 3]).tobytes())
    return path


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(path)
    return path


@pytest.mark.parametrize("ending", [".pt", ".pth", ".ts", ".pt2"])
def test_torchscript_touches_no_file_without_consent(tmp_path, secret, ending):
    before, harm = secret.read_bytes(), tmp_path / "harm"
    for kind, path in ((Writes, harm), (Writes, secret), (Reads, secret)):
        model = script(kind(str(path)), tmp_path / f"model{ending}")
        with pytest.raises(ValueError, match=r"is TorchScript, a program .* as ONNX, say --isolated .*--allow-pickle"):
            Subject.from_file(model).answers(X)
    assert (harm.exists(), secret.read_bytes()) == (False, before)
    vectors, _ = open_file(model, OWN).answers(X)  # which reads it
    np.testing.assert_allclose(vectors[:, 1], 1 / (1 + np.exp(-3)), atol=1e-6)
    open_file(script(Writes(str(harm)), model), OWN).answers(X)
    assert harm.exists()


def test_what_a_model_fails_with_is_said_once(tmp_path):
    subject = open_file(script(Reads(str(tmp_path / "absent")), tmp_path / "model.pt"), OWN)
    with pytest.raises(ValueError, match=r"^model\.pt cannot answer about these records \(unable to open file"):
        answers(subject, X)


def test_every_door_asks_for_consent(tmp_path, capsys):
    harm = tmp_path / "harm"
    model = str(script(Writes(str(harm)), tmp_path / "model.pt"))
    np.savez(tmp_path / "records.npz", x=X, y=Y)
    with pytest.raises(ValueError, match="is TorchScript"):
        audit(model, (X, Y), (X, Y))
    records = str(tmp_path / "records.npz")
    graph_ = graph(tmp_path / "safe.onnx")
    for words in ([model], [str(graph_), "--like", model]):
        assert main.main(["audit", *words, "--in", records, "--out", records]) == 1
        assert "model.pt is TorchScript, a program" in capsys.readouterr().err
    assert not harm.exists()


def test_what_isolated_opens_elsewhere_is_not_what_like_opens_here(tmp_path, monkeypatch, capsys):
    opened = []

    def open_isolated(path, opening):
        opened.append(path)
        return open_file(path, replace(opening, isolated=False))

    monkeypatch.setattr("mialib.submission.openers.open_isolated", open_isolated)
    model = str(script(Writes(str(tmp_path / "harm")), tmp_path / "model.pt"))
    words = ["audit", str(graph(tmp_path / "safe.onnx")), "--like", model, "--isolated"]
    assert main.main([*words, "--in", model, "--out", model]) == 1
    assert "model.pt is TorchScript, a program" in capsys.readouterr().err
    assert opened == [words[1]]


def outside(at):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 2], data_location=TensorProto.EXTERNAL)
    if at is None:
        tensor = onnx.numpy_helper.from_array(np.eye(3, 2, dtype=np.float32), "w")
    else:
        tensor.external_data.add(key="location", value=at)
    return tensor


def graph(path, at=None, constant=False, domain=""):
    """Write a model whose weights lie where `at` says, in a list of weights or in a node."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], domain=domain), helper.make_node("Softmax", ["z"], ["p"])]
    nodes = [helper.make_node("Constant", [], ["w"], value=outside(at)), *nodes] if constant else nodes
    ends = [helper.make_tensor_value_info(of, TensorProto.FLOAT, [None, n]) for of, n in (("x", 3), ("p", 2))]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], [] if constant else [outside(at)])
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    path.write_bytes(helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


@pytest.mark.parametrize("constant", [False, True])
def test_onnx_reads_no_other_file_than_its_own_weights(tmp_path, constant):
    folder, secret = tmp_path / "model", tmp_path / "secret"
    folder.mkdir()
    for path in (secret, folder / "records.npz", folder / "m.onnx.data"):
        path.write_bytes(np.arange(6, dtype=np.float32).tobytes())
    for at in ("../secret", str(secret), "records.npz", "./m.onnx.data", "../model/m.onnx.data"):
        with pytest.raises(ValueError, match=r"m\.onnx keeps numbers in another file, .* save the model in one file"):
            open_file(graph(folder / "m.onnx", at, constant))
    vectors, _ = open_file(graph(folder / "m.onnx", "m.onnx.data", constant)).answers(X)
    np.testing.assert_allclose(vectors[-1, 1], 1 / (1 + np.exp(-1)), atol=1e-6)
    (folder / "m.onnx.data").unlink()
    (folder / "m.onnx.data").symlink_to(secret)
    with pytest.raises(ValueError, match=r"m\.onnx keeps numbers in another file"):
        open_file(graph(folder / "m.onnx", "m.onnx.data", constant))


def test_operators_of_another_domain_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"m\.onnx is no ONNX file, .*other\.MatMul|m\.onnx .*other:MatMul") as caught:
        open_file(graph(tmp_path / "m.onnx", domain="other"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("package", "old", "safe"), [("skops", "0.12.0", "0.13"), ("keras", "3.11.3", "3.12")])
def test_versions_that_can_be_made_to_run_code_are_refused(tmp_path, monkeypatch, package, old, safe):
    monkeypatch.setitem(sys.modules, package, SimpleNamespace(__name__=package, __version__=old, io=None))
    path = tmp_path / f"model.{package}"
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match=f"needs {package} {safe} or newer, which opens files without running them"):
        open_file(path)
