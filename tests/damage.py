"""How files of every kind are damaged: what `fuzz_files.py` tries."""

import io
import json
import re
import warnings
import zipfile

import numpy as np

HUGE = [-1, 0, 1, 2**31 - 1, -(2**31), 2**32, 2**63 - 1, 10**20, -(10**20), 1e308, float("nan"), float("inf")]
ODD = [*HUGE, None, True, "", "a", "\x00", "nan", "x" * 3000, [], {}, [[]], [-1] * 50, {"a": {"b": []}}]


def damaged(rng, name, body):
    """Return the content of a file of this name, damaged in one of the ways that fit it."""
    ways = [*PLAIN]
    if body[:2] == b"PK":
        ways += [_members] * 12
    if body[:6] == b"\x93NUMPY":
        ways += [_npy] * 12
    if name.endswith(".npz"):
        ways += [_arrays] * 12
    if name.endswith(".parquet"):
        ways += [_columns] * 12
    if name.endswith(".safetensors"):
        ways += [_tensors] * 12
    if name.endswith(".onnx"):
        ways += [_fields] * 12
    if name.endswith(".json"):
        ways += [_json] * 12
    if name.endswith((".csv", ".txt", ".py", "bangkok")):
        ways += [_words] * 12
    return ways[rng.integers(len(ways))](rng, name, body)


def _cut(rng, body):
    """Return a piece of a body: where it starts and ends."""
    start = int(rng.integers(len(body) + 1))
    return start, min(len(body), start + int(2 ** rng.uniform(0, 12)))


def truncated(rng, name, body):
    return body[: _cut(rng, body)[0]]


def flipped(rng, name, body):
    body = bytearray(body)
    for _ in range(int(2 ** rng.integers(0, 7))):
        if body:
            body[rng.integers(len(body))] = (0, 255, 128, 127, int(rng.integers(256)))[rng.integers(5)]
    return bytes(body)


def dropped(rng, name, body):
    start, stop = _cut(rng, body)
    return body[:start] + body[stop:]


def doubled(rng, name, body):
    start, stop = _cut(rng, body)
    return body[:stop] + body[start:]


def blanked(rng, name, body):
    start, stop = _cut(rng, body)
    return body[:start] + bytes([(0, 255)[rng.integers(2)]]) * (stop - start) + body[stop:]


def swapped(rng, name, body):
    a, b, c = sorted(rng.integers(len(body) + 1, size=3))
    return body[:a] + body[b:c] + body[a:b] + body[c:]


PLAIN = (truncated, flipped, dropped, doubled, blanked, swapped)


def _members(rng, name, body):
    """Damage an archive: its members, whose checksums are right again, or what it says of them."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    i, j = rng.integers(len(members), size=2)
    (first, content), (second, other) = members[i], members[j]
    way = rng.integers(8)
    if way < 4:
        members[i] = first, damaged(rng, first, content)
    elif way == 4:
        members[i], members[j] = (first, other), (second, content)
    elif way == 5:
        del members[i]
    elif way == 6:
        members[i] = (f"{first}/", "../" * 3 + first, first.swapcase(), first + "\n")[rng.integers(4)], content
    else:
        members.append((first, other))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        warnings.simplefilter("ignore")
        for of, content in members:
            archive.writestr(zipfile.ZipInfo(of), content)
    if rng.integers(8):
        return buffer.getvalue()
    whole = bytearray(buffer.getvalue())  # what the directory says of sizes, methods and places
    places = [found.start() for found in re.finditer(rb"PK\x01\x02", whole)]
    at = places[rng.integers(len(places))] + (8, 10, 20, 24, 42)[rng.integers(5)]
    whole[at : at + 4] = int(rng.choice([0, 1, 99, 2**31, 2**32 - 1])).to_bytes(4, "little")
    return bytes(whole)


def _npy(rng, name, body):
    """Damage what stands in front of an array: its type, order and shape."""
    length = int.from_bytes(body[8:10], "little")
    header, data = body[10 : 10 + length].decode("latin1"), body[10 + length :]
    shapes = ("()", "(-1,)", "(-3, 4)", "(10**12,)", "(4000000000, 3)", "(2**62, 2**62)", "(0,)", "(1, 1, 1, 1)", "'a'")
    types = ("O", "V8", "<U999999999", "<U2", ">f8", "<f2", "M8[ns]", "<c16", "|b1", "i999", "|S3", "", "<U0")
    key, value = (("shape", rng.choice(shapes)), ("descr", repr(str(rng.choice(types)))), ("fortran_order", "True"))[
        rng.integers(3)
    ]
    header = re.sub(rf"'{key}': (\([^)]*\)|'[^']*'|\w+)", f"'{key}': {value}", header.rstrip())
    header = header.encode("latin1") + b"\n"
    return body[:8] + len(header).to_bytes(2, "little") + header + data


def odd_arrays(array):
    """Return what may stand in place of an array of numbers, by what it is."""
    return {
        "0-d": np.array(1.0),
        "empty": array[:0],
        "no columns": np.empty((len(array), 0)),
        "one less": array[:-1],
        "nested": array[None],
        "four axes": np.zeros((len(array), 2, 1, 3)),
        "objects": np.array([{}] * len(array), object),
        "structured": np.zeros(len(array), [("a", "f4"), ("b", "U3")]),
        "void": np.zeros(len(array), "V8"),
        "text": np.resize(np.array(["a", "b", ""]), array.shape),
        "bytes": np.resize(np.array([b"\xff", b"b"]), array.shape),
        "dates": np.zeros(array.shape, "M8[s]"),
        "spans": np.zeros(array.shape, "m8[ns]"),
        "complex": array.astype(complex),
        "NaN": np.full(array.shape, np.nan),
        "infinite": np.full(array.shape, -np.inf),
        "huge": np.full(array.shape, 1e308),
        "huge whole": np.full(array.shape, 2**63, np.uint64),
        "fractions": array + 0.25,
        "negative": -1 - np.abs(array),
        "fortran": np.asfortranarray(np.broadcast_to(array[..., None], (*array.shape, 2))),
        "half": np.clip(array, -9, 9).astype(np.float16),
        "quadruple": array.astype(np.longdouble),
        "other end": array.astype(">f8"),
        "booleans": array > 0,
    }


def _arrays(rng, name, body):
    """Put another array in place of one, or two."""
    with np.load(io.BytesIO(body)) as archive:
        arrays = dict(archive)
    for of in rng.permutation(list(arrays))[: rng.integers(1, 3)]:
        odd = list(odd_arrays(arrays[of].astype(float)).values())
        arrays[of] = odd[rng.integers(len(odd))]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _columns(rng, name, body):
    """Put another column in place of one of a Parquet file, or two columns of one name."""
    import pyarrow
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(body))
    n, i = len(table), int(rng.integers(table.num_columns))
    of = (
        lambda: pyarrow.nulls(n),
        lambda: pyarrow.array([[1, 2], [3]] * (n // 2)),
        lambda: pyarrow.array([[1.0, None]] * n),
        lambda: pyarrow.array([["a"], []] * (n // 2)),
        lambda: pyarrow.array([{"a": 1}] * n),
        lambda: pyarrow.array([b"\xff"] * n),
        lambda: pyarrow.array([float("nan"), float("inf")] * (n // 2)),
        lambda: pyarrow.array([None, "a"] * (n // 2)),
        lambda: pyarrow.array([None, True] * (n // 2)),
        lambda: pyarrow.array(range(n), pyarrow.timestamp("ns", "UTC")),
        lambda: pyarrow.array(range(n), pyarrow.date32()),
        lambda: pyarrow.array(range(n), pyarrow.duration("s")),
        lambda: pyarrow.array(range(n)).cast(pyarrow.decimal128(30, 2)),
        lambda: pyarrow.array(["a", None] * (n // 2)).dictionary_encode(),
        lambda: pyarrow.array([2**63] * n, pyarrow.uint64()),
        lambda: pyarrow.array([[[1]]] * n),
    )
    column = of[rng.integers(len(of))]()
    way = rng.integers(6)
    if way == 0:
        table = table.rename_columns(
            [table.column_names[i - 1] if j == i else of for j, of in enumerate(table.column_names)]
        )
    elif way == 1:
        table = table.slice(0, 0)
    else:
        table = table.set_column(i, table.column_names[i], column)
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def _json(rng, name, body):
    """Put something odd in some places of a JSON file, or drop, or double what is there."""
    content = json.loads(body)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(content))
        of, key = places[rng.integers(len(places))]
        way = rng.integers(8)
        if way == 0:
            del of[key]
        elif way == 1 and isinstance(of, list):
            of.insert(key, of[key])
        elif isinstance(of[key], str) and re.fullmatch(r"-?[\d.]+(E-?\d+)?", of[key]):  # a number in quotes
            of[key] = str(ODD[rng.integers(len(ODD))])
        elif way < 5:
            of[key] = HUGE[rng.integers(len(HUGE))]
        else:
            of[key] = ODD[rng.integers(len(ODD))]
        if not content:
            break
    return json.dumps(content).encode()


def _places(content):
    """Yield where something stands in a JSON file: what holds it, and under which key."""
    of = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(of):
        yield content, key
        yield from _places(value)


def _tensors(rng, name, body):
    """Damage what a safetensors file says of its tensors, or how long it says that this is."""
    length = int.from_bytes(body[:8], "little")
    if not rng.integers(4):
        return int(rng.choice([0, 1, length - 1, length + 8, 2**31, 2**62])).to_bytes(8, "little") + body[8:]
    header = _json(rng, name, body[8 : 8 + length])
    return len(header).to_bytes(8, "little") + header + body[8 + length :]


def _fields(rng, name, body):
    """Put something odd into some fields of an ONNX model, drop what they hold, or double it."""
    import onnx

    model = onnx.load_from_string(body)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_fields_of(model))
        of, field = places[rng.integers(len(places))]
        value, way = getattr(of, field.name), rng.integers(4)
        if way == 0:
            of.ClearField(field.name)
        elif field.message_type and field.is_repeated and way == 1:
            value.append(value[rng.integers(len(value))])
        elif not field.message_type:
            _put(rng, of, field, value)
    return model.SerializeToString()


def _fields_of(message):
    for field, value in message.ListFields():
        yield message, field
        if field.message_type:
            for part in value if field.is_repeated else [value]:
                yield from _fields_of(part)


def _put(rng, of, field, value):
    """Put something odd of the right type into a field; what does not fit it stays out."""
    old = value[0] if field.is_repeated else value
    odd = [1, 2, 0, -1, 16, 2**31 - 1, 2**62, 10**12] if isinstance(old, int) else HUGE
    odd = {str: ["", "x", "Relu", "p"], bytes: [b"", b"\xff" * 9, b"p"]}.get(type(old), odd)
    new = odd[rng.integers(len(odd))]
    try:
        if field.is_repeated:
            value[rng.integers(len(value))] = type(old)(new)
        else:
            setattr(of, field.name, type(old)(new))
    except (ValueError, OverflowError):
        return


def _words(rng, name, body):
    """Damage a text: its numbers, words and lines."""
    for _ in range(int(rng.integers(1, 4))):
        lines = body.split(b"\n")
        i, way = int(rng.integers(len(lines))), rng.integers(8)
        if way == 0:
            del lines[i]
        elif way == 1:
            lines.insert(i, lines[rng.integers(len(lines))])
        elif way == 2:
            sign = (b'"', b"\x00", b"\xff\xfe", b",", b"\r", b";" * 9, b"=", b"1" * 5000)[rng.integers(8)]
            at = int(rng.integers(len(lines[i]) + 1))
            lines[i] = lines[i][:at] + sign + lines[i][at:]
        else:  # an entry, in the line of names as often as elsewhere
            i = 0 if way == 3 and name.endswith(".csv") else i
            found = list(re.finditer(rb"[^,;=\s]+", lines[i]))
            if found:
                at, odd = found[rng.integers(len(found))], str(ODD[rng.integers(len(ODD))]).encode()
                odd = found[0].group() if way == 3 else odd
                lines[i] = lines[i][: at.start()] + odd + lines[i][at.end() :]
        body = b"\n".join(lines)
    return body
