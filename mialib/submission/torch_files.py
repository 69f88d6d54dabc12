"""Files of PyTorch: programs of torch.export, TorchScript, and weights, which are no model."""

import re
import zipfile

import numpy as np
import torch

from mialib.submission.outputs import module_outputs
from mialib.submission.refits import as_numbers
from mialib.submission.subjects import CONSENT, Subject

OF_OLD = "serialized_exported_program.json"
"""In a program that PyTorch before 2.7 saved."""

MOST = 1 << 24
"""Bytes of a file's code in which a device is looked for."""


def open_torch(path, opening):
    """Return the model of a file of PyTorch, by what it holds; a ValueError if that is weights, or code."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            if file.read(1) == b"\x80":  # a pickle
                raise _weights(path)
        raise ValueError(f"{path} is no model of PyTorch, or it is damaged")
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}
        if "constants.pkl" in names:
            return _open_script(
                path, opening, [archive.open(full).read(MOST) for name, full in names.items() if name[-3:] == ".py"]
            )
        if any(name.startswith("models/") for name in names) or OF_OLD in archive.namelist():
            if not opening.may_run:  # PyTorch evaluates its sizes and guards as Python, and unpickles some members
                raise ValueError(
                    f"{path} is a program of torch.export, which can run code when it is opened; export the model as "
                    f"ONNX, {CONSENT}"
                )
            return _open_program(path, opening)
        raise _weights(path)


def _weights(path):
    return ValueError(
        f"{path} was written by torch.save: weights, or a pickled module, which do not say safely how to compute. Save "
        "the model as ONNX, with torch.onnx.export; or with torch.jit.trace(model.eval(), example).save('model.pt'), "
        "which runs code and is opened with --allow-pickle or --isolated; or call audit(model, ...) in Python (a chain "
        "of Linear layers may also come as .safetensors)"
    )


def _open_script(path, opening, code):
    devices = re.findall(rb'torch\.device\("(cuda[^"]*)"\)', b"".join(code))
    if devices and not torch.cuda.is_available():
        raise ValueError(
            f"{path} asks for {devices[0].decode()}, which this machine does not have; move the model to the CPU, "
            "model.cpu(), before tracing it"
        )
    if not opening.may_run:  # its torch.from_file maps any file, to be read or overwritten
        raise ValueError(
            f"{path} is TorchScript, a program that can read and overwrite files when it is opened or asked; export "
            f"the model as ONNX, {CONSENT}"
        )
    model = torch.jit.load(path, map_location="cpu").eval()
    return _subject(path, opening, lambda x: module_outputs(model, x))


def _open_program(path, opening):
    program = torch.export.load(path)
    given = set(program.graph_signature.user_inputs)
    (values,) = ([node.meta["val"] for node in program.graph.nodes if node.name in given],)
    if len(values) != 1 or not isinstance(values[0], torch.Tensor):
        raise ValueError(f"{path} has {len(values)} inputs; it must take records as one tensor")
    n, *shape = values[0].shape
    fixed, module = isinstance(n, int), program.module()
    shape = shape if all(isinstance(size, int) for size in shape) else None

    def ask(x):
        x = x if shape is None else x.reshape(len(x), *shape)
        return module_outputs(module, x, n if fixed else 1024, fixed)

    return _subject(path, opening, ask, None if shape is None else int(np.prod(shape)))


def _subject(path, opening, ask, n_features=None):
    def as_asked(x):
        x = np.asarray(as_numbers(x), np.float32)
        try:
            return ask(x)
        except RuntimeError as error:
            found = re.search(r"shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)", str(error))
            if found and int(found[1]) == x.shape[-1]:
                raise ValueError(f"{path.name} takes {found[2]} features, and the records have {found[1]}") from error
            raise

    return Subject.from_answers(path.name, as_asked, opening, n_features)
