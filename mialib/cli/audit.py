"""The command ``mia audit``."""

from dataclasses import replace
from pathlib import Path

SAVED = (".csv", ".parquet", ".npz")


def add_options(option):
    """Add the options of ``mia audit`` by `option`, the function that adds one."""
    option(
        "model",
        help="a model file (.skops, .onnx, .pt, .safetensors), the http address of a service, or saved answers "
        "(.csv, .parquet or .npz with label, member and the prediction vectors)",
    )
    option("--in", dest="in_", type=Path, metavar="FILE", help="records that the model was trained on")
    option("--out", type=Path, metavar="FILE", help="records that it was not trained on")
    option("--pool", type=Path, metavar="FILE", help="others again, on which shadow models are trained")
    option("--data", type=Path, metavar="FILE", help="instead: records to train such a model on anew")
    option("--label", default="label", metavar="COLUMN", help="the column of the classes")
    option("--shadows", type=int, default=8, help="how many shadow models, from each seed")
    option("--seeds", type=int, help="from how many seeds; by default 3 if a refit takes under 10 s, else 1")
    option("--size", type=int, help="records that each shadow model of the pool is trained on")
    option("--train", metavar="MODULE:FUNCTION", help="how the model is trained: function(X, y, seed); it is run")
    option("--like", type=Path, metavar="FILE", help="a model as which the shadow models are trained")
    option("--material", type=float, default=0.55, help="balanced accuracy from which on a leak is material")
    option("--epsilon", type=float, help="differential privacy that is promised")
    option("--delta", type=float, default=0.0, help="of that promise")
    option("--canaries", type=int, default=0, help="records with wrong labels in a training run of their own")
    option("--drop-shared", action="store_true", help="leave out records that are in an earlier set too")
    option("--logits", action="store_true", help="the model gives logits")
    option("--partial", action="store_true", help="its vectors leave classes out")
    option("--trust", action="append", default=[], metavar="TYPE", help="a type in a skops file")
    option("--allow-pickle", action="store_true", help="open a pickle; it can run anything")
    option("--activation", choices=("relu", "tanh"), default="relu", help="of a safetensors network")
    option("--epochs", type=int, default=100, help="passes of shadow networks over their records")
    option("--name", default="target", help="of the model at a service")
    option("--budget", type=int, help="queries that may be sent to a service")
    option("--seed", type=int, default=0)
    option("-o", "--output", type=Path, default=Path("audit.html"))


def audit(arguments):
    """Say how much a model leaks about who was in its training set: an HTML report and a JSON file."""
    try:
        from mialib.auditing import report
    except ModuleNotFoundError as error:
        raise ValueError(f'mia audit needs {error.name}; install it with pip install "mialib[audit]"') from error
    if arguments.output.suffix != ".html":
        raise ValueError(f"{arguments.output} does not end in .html; the JSON file comes beside it")
    findings = _findings(arguments)
    page, content = report.save(findings, arguments.output)
    print(f"{findings.sentence()}\n{page}\n{content}")


def _findings(arguments):
    from mialib.auditing import audit, inputs, subjects

    names = ("size", "seeds", "material", "epsilon", "delta", "canaries", "drop_shared", "seed")
    settings = audit.Settings(arguments.shadows, **{name: getattr(arguments, name) for name in names})
    names = ("logits", "partial", "trust", "allow_pickle", "activation", "epochs")
    opening = subjects.Opening(**{name: getattr(arguments, name) for name in names})
    if Path(arguments.model).suffix in SAVED:
        answers = inputs.SavedAnswers.from_file(arguments.model, arguments.label)
        return audit.audit_saved(answers, Path(arguments.model).name, settings, opening)
    subject = _subject(arguments, opening)
    if arguments.data:
        records = inputs.Records.from_file(arguments.data, arguments.label)
        return audit.audit_kind(subject.refit.estimator, records, settings, subject.name)
    if not (arguments.in_ and arguments.out):
        raise ValueError("give records with --in and --out, or with --data alone to train such a model anew")
    parts = (arguments.in_, arguments.out, arguments.pool)
    in_, out, pool = (path and inputs.Records.from_file(path, arguments.label) for path in parts)
    return audit.audit(subject, in_, out, pool, settings)


def _subject(arguments, opening):
    from mialib.auditing import refits, subjects

    if arguments.model.startswith(("http://", "https://")):
        from mialib.service.client import Remote

        complete = False if arguments.partial else None
        remote = Remote(arguments.model, arguments.name, None, arguments.budget, complete=complete)
        subject = subjects.Subject.from_remote(remote, opening)
    else:
        subject = subjects.Subject.from_file(arguments.model, opening)
    if arguments.train and arguments.like:
        raise ValueError("--train and --like both say how shadow models are trained; give one of them")
    if arguments.train:
        subject = replace(subject, refit=refits.Trained.from_name(arguments.train))
    if arguments.like:
        subject = replace(subject, refit=subjects.Subject.from_file(arguments.like, opening).refit)
    if arguments.data and not hasattr(subject.refit, "estimator"):
        raise ValueError(
            "--data trains such a model anew, which only files of scikit-learn say how; take --in and --out"
        )
    return subject
