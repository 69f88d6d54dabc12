"""Membership inference by shadow models: the names of a chapter's first cell, and of an audit.

Nothing is imported before it is asked for (PEP 562).
"""

import sys
from importlib import import_module

HOMES_BY_ROOM = {
    "metrics": "Estimate",
    "datasets.catalog": "load",
    "datasets.dataset": "Dataset Provenance",
    "datasets.splits": "OwnOut SharedOut",
    "models.stack": "NN ReLU Tanh",
    "models.cnn": "CNN",
    "models.training": "Adam Recipe SGD",
    "models.cache": "ModelCache",
    "synthesis.model_based": "synthesize",
    "synthesis.search": "Search",
    "platforms.estimators": "Classifier",
    "platforms.closed": "AmazonLike",
    "platforms.private": "DPSGD",
    "platforms.mitigations": "Chain Filtered LabelOnly Rounding Temperature TopK",
    "platforms.secret_sharing": "SecretShared",
    "service.client": "Remote",
    "attack.answers": "Answers Inference",
    "attack.shadow": "ClassAttack PooledAttack",
    "attack.thresholds": "GapAttack ThresholdAttack",
    "attack.experiment": "Experiment Result run run_each",
    "book.chapter": "Chapter",
    "auditing.audit": "Settings audit audit_platform",
    "submission.inputs": "Records",
    "submission.refits": "ModuleTrainer",
}
HOMES = {name: home for home, names in HOMES_BY_ROOM.items() for name in names.split()}

__all__ = [*sorted(HOMES), "metrics", "plots"]

if "joblib.externals.loky.backend.popen_loky_posix" in sys.orig_argv:  # a worker, which outlives a killed parent
    import_module("mialib.base.signals").end_with_parent()


def __getattr__(name):
    if name in ("metrics", "plots"):
        return import_module(f"mialib.{name}")
    if name not in HOMES:
        raise AttributeError(f"module 'mialib' has no attribute {name!r}")
    return getattr(import_module(f"mialib.{HOMES[name]}"), name)


def __dir__():
    return __all__
