"""Which extra of mialib brings a package that is not there."""

EXTRAS = {
    **dict.fromkeys(("docutils", "nbclient", "nbformat", "papermill", "psutil", "torchvision"), "book"),
    **dict.fromkeys(("fastapi", "h11", "httpx", "limits", "orjson", "starlette", "tenacity", "uvicorn"), "serve"),
    **dict.fromkeys(("jinja2", "markupsafe", "onnx", "onnxruntime", "pyarrow", "safetensors", "skops"), "audit"),
    **{name: name for name in ("catboost", "keras", "lightgbm", "xgboost")},
    "distributed": "dask",
    "opacus": "privacy",
}
"""The smallest extra that brings each package."""

INCLUDED = {"book": {"audit", "privacy", "serve"}, "audit": {"serve"}}
"""Extras that another one brings along."""


def needs(what, error, extra=None):
    """Return one sentence (str) on a ModuleNotFoundError: what needs which package, and the extra that brings it.

    That is `extra`, which brings all that is needed there, if it brings the package, else the smallest that does.
    """
    if error.name is None:
        return str(error)
    brings = EXTRAS.get(error.name.partition(".")[0])
    if brings is None:
        return f"{what} needs {error.name}, which is not installed"
    if brings in INCLUDED.get(extra, ()):
        brings = extra
    return f'{what} needs {error.name.partition(".")[0]}, which is not installed: pip install "mialib[{brings}]"'
