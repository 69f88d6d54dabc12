"""Sound files of every kind that people bring, small: what `fuzz_files.py` damages."""

import pickle
import warnings
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
