"""The command ``mia``."""

import argparse
import sys
from pathlib import Path

import yaml

from mialib import auditing, claims, datasets, services
from mialib.cache import ModelCache
from mialib.paths import cache_dir


def data(arguments):
    """List the data sets, or load one and say what it is."""
    if not arguments.name:
        for name in datasets.DATASETS:
            print(f"{name:10} {', '.join(datasets.sources(name))}")
        return
    loaded = datasets.load(arguments.name, arguments.source or datasets.sources(arguments.name)[0])
    shape = " x ".join(map(str, loaded.x.shape))
    print(f"{shape}, {loaded.n_classes} classes\n{loaded.provenance}")


def run(arguments):
    """Run one chapter with other parameters."""
    from mialib import book

    parameters = dict(_parameter(text) for text in arguments.parameter)
    if parameters and arguments.profile == "sample":
        parameters = {"profile": "own", **parameters}
    parameters = {**book.profile_parameters(arguments.chapter, arguments.profile), **parameters}
    output = arguments.output or Path(f"{arguments.chapter}.out.ipynb")
    book.execute(book.chapter(arguments.chapter), output, parameters)
    print(output)


def _parameter(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"parameter {text!r} has no value; write name=value")
    return name, yaml.safe_load(value)


def build(arguments):
    """Run all chapters and build the book."""
    from mialib import book

    print(book.build(Path("_build", arguments.profile), arguments.profile))


def refresh(arguments):
    """Run chapters at their defaults and commit their outputs."""
    from mialib import book

    book.refresh(arguments.chapter or [path.stem for path in book.chapters()])


def record(arguments):
    """Run chapters in a profile and keep their numbers in data/results."""
    from mialib import book

    for name in arguments.chapter:
        print(book.record(name, arguments.profile))


def show_claims(arguments):
    """Print the ledger of claims."""
    for claim in claims.read_claims():
        if arguments.chapter in (None, claim.chapter):
            print(f"{claim.id}  ({claim.where}; {claim.chapter})\n  {claim.statement}")
            print(f"  paper: {claim.paper or 'no value'}; judged: {', '.join(claim.quantities)} {claim.judge}")
            print(f"  {claim.why}")


def cache(arguments):
    """Say how much is cached, or remove the trained models."""
    models = ModelCache()
    if arguments.clear:
        models.clear()
    n_models, n_bytes = models.size()
    print(f"{cache_dir()}: {n_models} models, {n_bytes / 2**20:.1f} MiB")


def parser():
    """Return the parser of the command line."""
    mia = argparse.ArgumentParser(prog="mia", description=__doc__)
    commands = mia.add_subparsers(required=True, metavar="COMMAND")

    def command(name, function):
        added = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        added.set_defaults(function=function)
        return added

    added = command("data", data)
    added.add_argument("name", nargs="?", help="a data set; without one, list all")
    added.add_argument("--source", choices=datasets.SOURCES, help="by default the first that the set has")
    added = command("run", run)
    added.add_argument("chapter")
    added.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    added.add_argument("--profile", default="sample")
    added.add_argument("-o", "--output", type=Path, help="by default CHAPTER.out.ipynb")
    added = command("book", build)
    added.add_argument("--profile", default="sample")
    added = command("refresh", refresh)
    added.add_argument("chapter", nargs="*", help="by default all")
    added = command("record", record)
    added.add_argument("chapter", nargs="+")
    added.add_argument("--profile", default="laptop")
    services.add_options(command("serve", services.serve), _parameter)
    auditing.add_options(command("audit", auditing.audit))
    added = command("claims", show_claims)
    added.add_argument("--chapter")
    added = command("cache", cache)
    added.add_argument("--clear", action="store_true")
    return mia


def main(words=None):
    """Run the command; bad input, or a chapter that fails, gives one sentence and exit code 1."""
    arguments = parser().parse_args(words)
    try:
        arguments.function(arguments)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"mia: {error}", file=sys.stderr)
        return 1
    return 0
