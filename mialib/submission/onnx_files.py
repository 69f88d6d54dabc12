"""Models in ONNX, as skl2onnx, PyTorch and others write them."""

import numpy as np
import pandas as pd

from mialib.submission.outputs import chosen, in_batches
from mialib.submission.refits import as_numbers
from mialib.submission.subjects import Subject

DTYPES = {"float": np.float32, "double": np.float64, "float16": np.float16, "bool": np.bool_, "string": np.object_}
DTYPES |= {f"{sign}int{bits}": np.dtype(f"{sign}int{bits}").type for bits in (8, 16, 32, 64) for sign in ("", "u")}
BATCH = 1024


def open_onnx(path, opening):
    """Return the model of an ONNX file; a ValueError if its inputs are not records."""
    import onnx
    import onnxruntime

    model = onnx.load(path, load_external_data=False)
    _check_beside(path, model, onnx.TensorProto)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it raises is said; it need not be printed too
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), session.get_outputs()
    first, per_column = inputs[0], len(inputs) > 1
    if per_column and any(of.shape[1:] not in ([], [1]) for of in inputs):
        names = ", ".join(f"{of.name!r} of shape {of.shape}" for of in inputs)
        raise ValueError(f"{path} has the inputs {names}; it must have one, or one for each column")
    classes = _classes(model.graph)
    maps = [of.name for of in outputs if of.type.startswith("seq(map(")]
    asked = maps or [of.name for of in outputs]
    labels = not maps and all(of.type in ("tensor(int64)", "tensor(string)") for of in outputs)
    # By this name skl2onnx and onnxmltools call what a regressor predicts.
    values = opening.regression or [of.name for of in outputs] == ["variable"]
    fixed = bool(first.shape) and isinstance(first.shape[0], int)

    def answer(part):
        fed = (
            {of.name: _tensor(part[of.name], of) for of in inputs} if per_column else {first.name: _tensor(part, first)}
        )
        said = dict(zip(asked, session.run(asked, fed), strict=True))
        if not maps:
            return said
        zipped = said[maps[0]]
        return np.array([[row[name] for name in classes or zipped[0]] for row in zipped], np.float32)

    def ask(x):
        take = x.iloc.__getitem__ if isinstance(x, pd.DataFrame) else np.asarray(x).__getitem__
        said = in_batches(lambda rows: answer(take(rows)), len(x), first.shape[0] if fixed else BATCH, fixed)
        return chosen(said, len(x), classes) if isinstance(said, dict) else said

    return Subject(
        path.name,
        ask,
        opening.stand_in,
        None if classes is None or values else np.asarray(classes),
        opening.partial,
        np.array([of.name for of in inputs], object) if per_column else None,
        int(np.prod(first.shape[1:])) if not per_column and _is_known(first.shape[1:]) else None,
        {of.name: "text" if _type(of) == "string" else "number" for of in inputs} if per_column else {},
        task="regression" if values else "classification",
        opening=opening,
        label_only=labels,
    )


def _check_beside(path, model, kind):
    """Raise a ValueError if tensors lie in another file, unless it is beside a model's, and called after it."""
    for tensor in _tensors(model, kind):
        at = next((of.value for of in tensor.external_data if of.key == "location"), None)
        if at is not None and (at not in (f"{path.name}.data", f"{path.name}_data") or path.with_name(at).is_symlink()):
            raise ValueError(
                f"{path} keeps numbers in another file, {at!r}; it can only in {path.name}.data beside it: save the "
                "model in one file (torch.onnx.export with external_data=False)"
            )


def _tensors(message, kind):
    """Yield the tensors in a message of ONNX, wherever they are: in graphs of branches and functions too."""
    for _, value in message.ListFields():
        for part in value if hasattr(value, "__getitem__") and not isinstance(value, str | bytes) else [value]:
            if isinstance(part, kind):
                yield part
            elif hasattr(part, "ListFields"):
                yield from _tensors(part, kind)
            else:
                break  # numbers, all of them


def _tensor(values, of):
    """Return records, or a column of them, as an input takes them; a ValueError names a column of another type."""
    dtype = DTYPES[_type(of)]
    if dtype is np.object_:
        found = np.asarray(values).astype(str).astype(object)
    elif isinstance(values, pd.DataFrame):
        as_numbers(values.iloc[:0])  # which names a column of text
        found = values.to_numpy(dtype)
    else:
        values = np.asarray(values)
        if values.dtype.kind not in "fiub":
            raise ValueError(f"column {of.name!r} is text; the file takes numbers there")
        if np.issubdtype(dtype, np.integer) and not np.array_equal(values, np.floor(values)):
            raise ValueError(f"the file takes whole numbers for {of.name!r}; the records have fractions there, or gaps")
        found = values.astype(dtype)
    return np.ascontiguousarray(found).reshape(len(found), *of.shape[1:]) if _is_known(of.shape[1:]) else found


def _is_known(shape):
    return all(isinstance(size, int) for size in shape)


def _type(of):
    return of.type.removeprefix("tensor(").removesuffix(")")


def _classes(graph):
    """Return what a graph calls its classes, a list of int or str; None if it does not say."""
    for node in reversed(graph.node):
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_") and (attribute.ints or attribute.strings):
                return list(attribute.ints) or [name.decode() for name in attribute.strings]
    from onnx import numpy_helper

    named = [numpy_helper.to_array(of).ravel().tolist() for of in graph.initializer if of.name == "classes"]
    return [name.decode() if isinstance(name, bytes) else name for name in named[0]] if named else None
