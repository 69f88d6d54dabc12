"""The command ``mia``."""

import argparse
import shutil
import sys
from pathlib import Path

import yaml

from mialib.base.machine import cache_dir
from mialib.book import claims
from mialib.cli import audit, serve
from mialib.datasets import catalog
from mialib.models.cache import ModelCache

CLUSTER_HELP = "of a Dask scheduler, to train the models there"


def data(arguments):
    """List the data sets, or load one and say what it is."""
    if not arguments.name:
        for name in catalog.DATASETS:
            print(f"{name:10} {', '.join(catalog.sources(name))}")
        return
    loaded = catalog.load(arguments.name, arguments.source or catalog.sources(arguments.name)[0])
    shape = " x ".join(map(str, loaded.x.shape))
    print(f"{shape}, {loaded.n_classes} classes\n{loaded.provenance}")


def run(arguments):
    """Run one chapter with other parameters."""
    from mialib.book import chapters

    parameters = dict(_parameter(text) for text in arguments.parameter)
    if parameters and arguments.profile == "sample":
        parameters = {"profile": "own", **parameters}
    parameters = {**chapters.profile_parameters(arguments.chapter, arguments.profile), **parameters}
    output = arguments.output or Path(f"{arguments.chapter}.out.ipynb")
    chapters.execute(chapters.path(arguments.chapter), output, parameters)
    print(output)


def _parameter(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"parameter {text!r} has no value; write name=value")
    return name, yaml.safe_load(value)


def whole_book(arguments):
    """Run all chapters and build the book."""
    from mialib.book.build import build, cost_table

    if arguments.dry_run:
        print(cost_table(arguments.profile))
        return

    page, failures = build(Path("_build", arguments.profile), arguments.profile, arguments.jobs, arguments.cluster)
    print(page)
    if failures:
        raise RuntimeError(f"{len(failures)} chapters did not run to their end: {'; '.join(failures.values())}")


def sweep(arguments):
    """Run a chapter over a grid of parameters."""
    from mialib import plots
    from mialib.book import chapters
    from mialib.book.sweeps import grid, lines, sweep
    from mialib.plots import style

    points, folder = grid(arguments.grid), arguments.output or Path("_build", "sweeps", arguments.chapter)
    profile = chapters.profile_parameters(arguments.chapter, arguments.profile)
    given = profile | dict(_parameter(text) for text in arguments.parameter)
    if given.get("profile", "sample") == "sample":
        given["profile"] = "own"
    numbers, failures = sweep(arguments.chapter, points, given, folder, _on(arguments.cluster))
    for point, message in failures.items():
        print(f"{point} failed: {message}", file=sys.stderr)
    axis, quantity = next(iter(points[0])), arguments.quantity or numbers["quantity"].iloc[0]
    drawn = lines(numbers, axis, quantity)
    kinds = ", ".join(sorted(numbers["data"].unique()))
    badge = f"{arguments.chapter} · {kinds} data · profile {given['profile']}"
    figure = style.sign(plots.curve(drawn, axis, quantity), badge)
    figure.savefig(folder / "numbers.png", dpi=150)
    print(f"{folder / 'numbers.csv'}\n{folder / 'numbers.png'}")


def _on(cluster):
    from mialib.base.machine import CLUSTER

    return {CLUSTER: cluster} if cluster else {}


def refresh(arguments):
    """Run chapters at their defaults and commit their outputs."""
    from mialib.book import build, chapters

    build.refresh(arguments.chapter or [path.stem for path in chapters.paths()])


def record(arguments):
    """Run chapters in a profile and keep their numbers in data/results."""
    from mialib.book import build, chapters

    for name in arguments.chapter or [path.stem for path in chapters.paths() if path.stem != chapters.SCOREBOARD]:
        print(build.record(name, arguments.profile))


def show_claims(arguments):
    """Print the ledger of claims."""
    for claim in claims.read_claims():
        if arguments.chapter in (None, claim.chapter):
            print(f"{claim.id}  ({claim.where}; {claim.chapter})\n  {claim.statement}")
            print(f"  paper: {claim.paper or 'no value'}; judged: {', '.join(claim.quantities)} {claim.judge}")
            print(f"  {claim.why}")


def cache(arguments):
    """Say how much is cached, or remove trained models and chapters that were run."""
    from mialib.book.execution import all_kept

    models = ModelCache()
    if arguments.clear:
        models.clear()
        for folder in all_kept():
            shutil.rmtree(folder)
    n_models, n_bytes = models.size()
    print(f"{cache_dir()}: {n_models} models, {n_bytes / 2**20:.1f} MiB; {len(all_kept())} runs of chapters")


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
    added.add_argument("--source", choices=catalog.SOURCES, help="by default the first that the set has")
    added = command("run", run)
    added.add_argument("chapter")
    added.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    added.add_argument("--profile", default="sample")
    added.add_argument("-o", "--output", type=Path, help="by default CHAPTER.out.ipynb")
    added = command("book", whole_book)
    added.add_argument("--profile", default="sample")
    added.add_argument("--jobs", type=int, metavar="N", help="chapters at the same time; by default one for two cores")
    added.add_argument("--dry-run", action="store_true", help="only say what it would take")
    added.add_argument("--cluster", metavar="ADDRESS", help=CLUSTER_HELP)
    added = command("sweep", sweep)
    added.add_argument("chapter")
    added.add_argument("-g", "--grid", action="append", required=True, metavar="NAME=VALUES", help="1,2,5 or 0..4")
    added.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    added.add_argument("-q", "--quantity", help="to draw along the first grid; by default the first that is measured")
    added.add_argument("--profile", default="sample")
    added.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="by default _build/sweeps/CHAPTER")
    added.add_argument("--cluster", metavar="ADDRESS", help=CLUSTER_HELP)
    added = command("refresh", refresh)
    added.add_argument("chapter", nargs="*", help="by default all")
    added = command("record", record)
    added.add_argument("chapter", nargs="*", help="by default all")
    added.add_argument("--profile", default="laptop")
    serve.add_options(command("serve", serve.serve), _parameter)
    audit.add_options(command("audit", audit.audit))
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
