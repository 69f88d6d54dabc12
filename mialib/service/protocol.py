"""Tensors of the Open Inference Protocol (KServe v2 REST), as JSON that keeps every bit of a float.

A float32 is written with as many digits as tell it from its neighbours, and read back as the same one.
"""

import math
import reprlib
from itertools import chain

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
MOST_AXES = 32
"""Axes that an array may have, in any numpy."""
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
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise ValueError(f"datatype is {reprlib.repr(datatype)}; it must be one of {', '.join(DATATYPES)}")
    # Limited before they are multiplied: the product of a million lengths takes minutes.
    if not isinstance(shape, list) or len(shape) > MOST_AXES or not all(map(_is_length, shape)):
        raise ValueError(f"shape is {reprlib.repr(shape)}; it must be a list of whole numbers, at most {MOST_AXES}")
    _check_numbers(content["data"], datatype)
    try:
        found = np.asarray(content["data"])
        with np.errstate(over="ignore", invalid="ignore"):
            array = found.astype(DATATYPES[datatype])
        if array.size != math.prod(shape):
            raise ValueError(f"shape {shape} wants {math.prod(shape)} numbers; data hold {array.size}")
        array = array.reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"data are no array of {datatype}: {error}") from error
    if array.dtype.kind in "iub" and not np.array_equal(array.ravel(), found.ravel()):
        raise ValueError(f"data are not numbers of type {datatype}: some do not fit it")
    return array


def _is_length(value):
    """Return whether a shape may hold this."""
    return type(value) is int and value >= 0


def _check_numbers(data, datatype):
    """Refuse what is no list of numbers, before numpy pads all texts in it to the longest."""
    level = data if isinstance(data, list) else [data]
    while (kinds := set(map(type, level))) == {list}:
        level = list(chain.from_iterable(level))
    if not kinds <= {bool, int, float}:
        raise ValueError(f"data are not numbers of type {datatype}: some are missing, or text")
