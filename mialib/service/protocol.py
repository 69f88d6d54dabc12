"""Tensors of the Open Inference Protocol (KServe v2 REST), as JSON that keeps every bit of a float.

A float32 is written with as many digits as tell it from its neighbours, and read back as the same one.
"""

import math

import numpy as np
import orjson

DATATYPES = {
    "BOOL": np.dtype(bool),
    "UINT8": np.dtype(np.uint8),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
}
"""Names of the protocol for the types of numpy that records and prediction vectors have."""
NAMES = {dtype: name for name, dtype in DATATYPES.items()}


def to_json(content):
    """Return content with arrays in it as JSON, bytes."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def from_json(text):
    """Return the object that JSON holds, a dict; a ValueError if it is no JSON, or no object."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"this is not JSON (which has no NaN): {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"JSON holds a {type(content).__name__}; the protocol wants an object")
    return content


def tensor(name, array):
    """Return an array of a type in `DATATYPES` as a tensor of the protocol, a dict; a ValueError for other types."""
    array = np.ascontiguousarray(array)
    if array.dtype not in NAMES:
        raise ValueError(f"{name} is of type {array.dtype}; the protocol carries {', '.join(map(str, NAMES))}")
    return {"name": name, "shape": list(array.shape), "datatype": NAMES[array.dtype], "data": array.ravel()}


def array_of(content):
    """Return the array that a tensor of the protocol holds, in the shape and type that it states.

    Its ``data`` may be flat or nested. A ValueError says what is missing, or that shape, type and data do not agree.
    """
    if not isinstance(content, dict) or not {"shape", "datatype", "data"} <= set(content):
        raise ValueError("a tensor must have name, shape, datatype and data")
    shape, datatype = content["shape"], content["datatype"]
    if datatype not in DATATYPES:
        raise ValueError(f"datatype is {datatype!r}; it must be one of {', '.join(DATATYPES)}")
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"shape is {shape!r}; it must be a list of whole numbers")
    try:
        found = np.asarray(content["data"])
        with np.errstate(over="ignore", invalid="ignore"):
            array = found.astype(DATATYPES[datatype])
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"data are not numbers of type {datatype}: {error}") from error
    if found.dtype.kind not in "biuf" and found.size:
        raise ValueError(f"data are not numbers of type {datatype}: some are missing, or text")
    if array.size != math.prod(shape):
        raise ValueError(f"shape {shape} wants {math.prod(shape)} numbers; data hold {array.size}")
    if array.dtype.kind in "iu" and not np.array_equal(array, found):
        raise ValueError(f"data are not numbers of type {datatype}: some do not fit it")
    return array.reshape(shape)
