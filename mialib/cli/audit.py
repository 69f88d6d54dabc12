"""The command ``mia audit``."""

import shlex
from dataclasses import replace
from pathlib import Path

SAVED = (".csv", ".parquet", ".npz")

NEEDED = """mia audit MODEL --in MEMBERS --out OTHERS [--label COLUMN]
MODEL: a file (.skops, .onnx, .pt, .pt2, .safetensors, ...), the address of a service, or saved answers.
MEMBERS, OTHERS: tables (.csv, .parquet) or arrays (.npz) with labels, of records that it was trained on, and not.
Best with at least 200 records on each side, and with --train MODULE:FUNCTION for anything but scikit-learn.
mia audit --example FOLDER shows one from end to end; mia audit --help has all options."""


def add_options(option):
    """Add the options of ``mia audit`` by `option`, the function that adds one."""
    option(
        "model",
        nargs="?",
        help="a model file (.skops, .onnx, .pt, .pt2, .safetensors, .json or .ubj of XGBoost, .txt of LightGBM, .cbm, "
        ".keras), the http address of a service, or saved answers (.csv, .parquet or .npz with label, member and the "
        "prediction vectors)",
    )
    option("--example", type=Path, metavar="FOLDER", help="write a small model and its tables there, and audit them")
    option("--in", dest="in_", type=Path, metavar="FILE", help="records that the model was trained on")
    option("--out", type=Path, metavar="FILE", help="records that it was not trained on")
    option("--pool", type=Path, metavar="FILE", help="others again, on which shadow models are trained")
    option("--answers-in", type=Path, metavar="FILE", help="instead of a model: its saved answers about records in")
    option("--answers-out", type=Path, metavar="FILE", help="and about records out")
    option("--data", type=Path, metavar="FILE", help="instead: records to train such a model on anew")
    option("--label", default="label", metavar="COLUMN", help="the column of the classes, or of a regressor's values")
    option("--id", metavar="COLUMN", help="what a record is called, kept for the report and never a feature")
    option("--group", metavar="COLUMN", help="whose record it is: persons are judged, and stand on one side")
    option("--by", action="append", default=[], metavar="COLUMN", help="subgroups that are looked at one by one")
    option("--weights", metavar="COLUMN", help="with which the model is fitted")
    option("--drop", action="append", default=[], metavar="COLUMN", help="a column that is no feature")
    option("--classes", type=_listed, metavar="A,B,...", help="in the order of the answers, if the model does not say")
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
    option("--rounded", action="store_true", help="its vectors are rounded, and are made to sum to one")
    option("--regression", action="store_true", help="the model predicts values, where its file does not say so")
    option("--partial", action="store_true", help="its vectors leave classes out")
    option("--trust", action="append", default=[], metavar="TYPE", help="a type in a skops file")
    option(
        "--allow-pickle",
        action="store_true",
        help="open a pickle, TorchScript (.pt) or a .pt2: each can run code, read and overwrite files; for your own",
    )
    option(
        "--isolated",
        action="store_true",
        help="open the file in a process that can read and write no others and has no network (Linux)",
    )
    option("--activation", choices=("relu", "tanh"), default="relu", help="of a safetensors network")
    option("--epochs", type=int, default=100, help="passes of shadow networks over their records")
    option("--name", default="target", help="of the model at a service")
    option("--budget", type=int, help="queries that may be sent to a service")
    option("--batch", type=int, default=256, metavar="N", help="records in a request to a service, at most")
    option("--seed", type=int, default=0)
    option("--fail-above", type=float, metavar="X", help="exit with 3 if accuracy or AUC is above, 4 if undecided")
    option("-o", "--output", type=Path, default=Path("audit.html"))


def _listed(text):
    return tuple(text.split(","))


def audit(arguments):
    """Say how much a model leaks about who was in its training set: a report as HTML, JSON and CSV."""
    if arguments.example:
        return _example(arguments)
    if not (arguments.model or arguments.answers_in):
        print(NEEDED)
        return 2
    from mialib.auditing import recommendation, report

    findings = _findings(arguments)
    for check in findings.structure:  # no attack has run yet: each is tried when its numbers are asked for
        if check.concern:
            print(f"{check.name[0].upper()}{check.name[1:]}: {check.meaning}", flush=True)
    advice = recommendation.recommend(findings)
    written = report.save(findings, arguments.output)
    print(findings.sentence(), f"Recommendation: {advice.action}. {advice.reason}", *written, sep="\n")
    if arguments.fail_above is None:
        return 0
    above = recommendation.verdict_above(findings, arguments.fail_above)
    print(f"Accuracy and AUC against {arguments.fail_above}: {above}.")
    return {"below": 0, "above": 3, "undecided": 4}[above]


def _example(arguments):
    from mialib.auditing.example import write
    from mialib.cli.main import main

    words = write(arguments.example)
    print(f"$ {shlex.join(['mia', *words])}", flush=True)
    return main(words)


def _findings(arguments):
    from mialib.auditing import audit, filing, recommendation, report
    from mialib.service import address
    from mialib.submission import inputs, saved, subjects

    names = ("size", "seeds", "material", "epsilon", "delta", "canaries", "drop_shared", "seed")
    settings = audit.Settings(arguments.shadows, **{name: getattr(arguments, name) for name in names})
    names = ("logits", "partial", "rounded", "regression", "trust", "allow_pickle", "isolated", "activation")
    names += ("epochs", "classes")
    opening = subjects.Opening(**{name: getattr(arguments, name) for name in names})
    a = arguments
    roles = inputs.Roles(a.label, a.id, a.group, tuple(a.by), a.weights, tuple(a.drop))
    given = {"model": a.model, "records in": a.in_, "records out": a.out, "pool": a.pool, "records": a.data}
    given |= {"answers in": a.answers_in, "answers out": a.answers_out, "shadow models like": a.like}
    service = bool(a.model) and address.is_address(a.model)
    files = {role: path for role, path in given.items() if path and not (role == "model" and service)}
    if missing := [path for path in files.values() if not Path(path).is_file()]:
        raise ValueError(f"there is no file {address.redacted(str(missing[0]))}")
    listed = [filing.Input("model", address.Address.from_text(a.model).url)] if service else []
    listed += [filing.Input.from_file(role, path) for role, path in files.items()]
    counts = {}
    report.paths(a.output, listed)
    if a.fail_above is not None:
        recommendation.check_threshold(a.fail_above)
    if a.answers_in:
        if not a.answers_out or a.model:
            raise ValueError("--answers-in needs --answers-out, and no model; both together say what a model answered")
        answers = saved.SavedAnswers.from_files(a.answers_in, a.answers_out, roles, opening.classes)
        found = audit.audit_saved(answers, a.answers_in.name, settings, opening)
    elif not service and Path(a.model).suffix in SAVED:
        answers = saved.SavedAnswers.from_file(a.model, roles, opening.classes)
        found = audit.audit_saved(answers, Path(a.model).name, settings, opening)
    else:
        found, counts = _of_model(a, settings, opening, roles)
    listed = [replace(of, n_records=counts.get(of.role)) for of in listed]
    command = ["mia", *a.words]
    filed = filing.Filing.now(found, settings, opening, command, listed, service=service, budget=a.budget)
    return replace(found, filing=filed)


def _of_model(arguments, settings, opening, roles):
    from mialib.auditing import audit
    from mialib.submission import inputs

    subject = _subject(arguments, opening)
    paths = {"records in": arguments.in_, "records out": arguments.out, "pool": arguments.pool}
    if arguments.data:
        paths = {"records": arguments.data}
    elif not (arguments.in_ and arguments.out):
        raise ValueError("give records with --in and --out, or with --data alone to train such a model anew")
    parts = {
        role: inputs.Records.from_file(path, roles, subject.names, subject.kinds)
        for role, path in paths.items()
        if path
    }
    counts = {role: len(part) for role, part in parts.items()}
    if arguments.data:
        return audit.audit_kind(subject.refit.estimator, parts["records"], settings, subject.name), counts
    in_, out, pool = (parts.get(role) for role in paths)
    return audit.audit(subject, in_, out, pool, settings, opening), counts


def _subject(arguments, opening):
    from mialib.service import address
    from mialib.submission import refits, subjects

    if address.is_address(arguments.model):
        from mialib.service.client import Remote

        complete = False if arguments.partial else None
        remote = Remote(arguments.model, arguments.name, None, arguments.budget, arguments.batch, complete=complete)
        subject = subjects.Subject.from_remote(remote, opening)
    else:
        subject = subjects.Subject.from_file(arguments.model, opening)
    if arguments.train and arguments.like:
        raise ValueError("--train and --like both say how shadow models are trained; give one of them")
    if arguments.train:
        subject = replace(subject, refit=refits.Trained.from_name(arguments.train))
    if arguments.like:
        like = replace(opening, isolated=False)  # it is trained here, so it must be one that may be opened here
        subject = replace(subject, refit=subjects.Subject.from_file(arguments.like, like).refit)
    if arguments.data and not hasattr(subject.refit, "estimator"):
        raise ValueError(
            "--data trains such a model anew, which only files of scikit-learn say how; take --in and --out"
        )
    return subject
