"""Sound files of every kind that people bring, small, and how they are damaged: what `fuzz_files.py` tries."""

import io
import json
import pickle
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

N = 40
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
Y = np.arange(N) % 2
TABLE = pd.DataFrame(X, columns=["age", "height", "weight"])
VECTORS = np.stack([1 - np.abs(X[:, 0]) / 9, np.abs(X[:, 0]) / 9], axis=1)
MEMBER = np.arange(N) // 2 % 2

HUGE = [-1, 0, 1, 2**31 - 1, -(2**31), 2**32, 2**63 - 1, 10**20, -(10**20), 1e308, float("nan"), float("inf")]
ODD = [*HUGE, None, True, "", "a", "\x00", "nan", "x" * 3000, [], {}, [[]], [-1] * 50, {"a": {"b": []}}]


def sound(folder):
    """Write a sound file of each kind into a folder; return their names by the door that reads them."""
    from onnx import TensorProto, helper, numpy_helper, save

    folder = Path(folder)
    models = [_skops(folder), _pickles(folder), _torch(folder), _boosters(folder), _keras(folder)]
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1)],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 2])],
        [numpy_helper.from_array(X[:3, :2].copy(), "w"), numpy_helper.from_array(X[3, :2].copy(), "b")],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "linear.onnx")
    models.append(["linear.onnx", *_trees_in_onnx(folder)])
    for name, x in {"records": X, "others": X + 9}.items():
        table = pd.DataFrame(x, columns=TABLE.columns).assign(label=Y, town=list("abcd") * 10)
        table.to_csv(folder / f"{name}.csv", index=False)
        table.to_parquet(folder / f"{name}.parquet")
        np.savez(folder / f"{name}.npz", x=x, y=Y)
    saved = pd.DataFrame(VECTORS, columns=["0", "1"]).assign(label=Y, member=MEMBER, id=range(N))
    saved.to_csv(folder / "saved.csv", index=False)
    saved.to_parquet(folder / "saved.parquet")
    np.savez_compressed(folder / "saved.npz", vectors=VECTORS, label=Y, member=MEMBER)
    pd.DataFrame(np.column_stack([Y, VECTORS])).to_csv(folder / "bare.csv", index=False, header=False)
    np.savez(folder / "purchase100.npz", features=(X > 0).astype(np.uint8), labels=[*range(N - 1), 99])
    (folder / "bangkok").write_text("".join(f'"{i % 30 + 1}",{int(X[i, 0] > 0)},1,0\n' for i in range(N)))
    return {
        "model": [name for of in models for name in of],
        "records": ["records.csv", "records.parquet", "records.npz"],
        "saved": ["saved.csv", "saved.parquet", "saved.npz"],
        "bare": ["bare.csv"],
        "own": ["purchase100.npz", "bangkok"],
    }


def _skops(folder):
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    from skops import io as skops

    columns = make_column_transformer((StandardScaler(), ["age", "height"]), remainder="passthrough")
    models = {
        "linear": LogisticRegression().fit(X, Y),
        "pipeline": make_pipeline(columns, LogisticRegression()).fit(TABLE, Y),
        "forest": RandomForestClassifier(2, max_depth=3, random_state=0).fit(X, Y),
        "boosting": HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2, max_depth=3).fit(X, Y),
        "neighbours": KNeighborsClassifier().fit(X, Y),
        "vectors": SVC(random_state=0).fit(X, Y),
    }
    for name, model in models.items():
        skops.dump(model, folder / f"{name}.skops")
    return [f"{name}.skops" for name in models]


def _pickles(folder):
    import joblib
    from sklearn.linear_model import LogisticRegression

    joblib.dump(LogisticRegression().fit(X, Y), folder / "linear.joblib")
    (folder / "linear.pkl").write_bytes(pickle.dumps(LogisticRegression().fit(X, Y)))
    return ["linear.joblib", "linear.pkl"]  # opened without consent alone


def _torch(folder):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
    save_file(net.state_dict(), folder / "net.safetensors")
    torch.save(net.state_dict(), folder / "weights.pt")
    whole = torch.nn.Sequential(net, torch.nn.Softmax(1)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(whole).save(folder / "script.pt")
    torch.export.save(torch.export.export(whole, (torch.zeros(8, 3),)), folder / "program.pt2")
    return ["net.safetensors", "weights.pt", "script.pt", "program.pt2"]


def _boosters(folder):
    import lightgbm
    import xgboost

    small = {"n_estimators": 3, "max_depth": 3, "n_jobs": 1, "random_state": 0}
    model = xgboost.XGBClassifier(**small).fit(TABLE, Y)
    for ending in ("json", "ubj"):
        model.save_model(folder / f"xgboost.{ending}")
    model = lightgbm.LGBMClassifier(min_child_samples=2, verbose=-1, **small).fit(TABLE, Y)
    model.booster_.save_model(folder / "lightgbm.txt")
    names = ["xgboost.json", "xgboost.ubj", "lightgbm.txt"]
    try:
        from catboost import CatBoostClassifier
    except ModuleNotFoundError:
        return names
    model = CatBoostClassifier(3, depth=3, verbose=False, allow_writing_files=False, thread_count=1, random_seed=0)
    model.fit(X, Y).save_model(str(folder / "catboost.cbm"))
    return [*names, "catboost.cbm"]


def _keras(folder):
    import os

    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((3,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(2, "softmax")]
    keras.Sequential(layers).save(folder / "net.keras")
    return ["net.keras"]


def _trees_in_onnx(folder):
    try:
        import skl2onnx
    except ModuleNotFoundError:
        return []
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(2, max_depth=3, random_state=0).fit(X, Y)
    (folder / "forest.onnx").write_bytes(skl2onnx.to_onnx(forest, X[:1]).SerializeToString())
    return ["forest.onnx"]


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
