"""The command ``mia``. Each verb imports what it needs when it runs: help, and the list of data sets, come at once."""

import argparse
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from mialib.base.extras import needs
from mialib.base.signals import stoppable
from mialib.base.text import one_line
from mialib.cli import audit, serve

TRACEBACK = "MIALIB_TRACEBACK"
"""Environment variable: with any value but none or 0, an error is raised instead of said in a sentence."""

EXPECTED = (ValueError, OSError, RuntimeError)
"""What says by itself what is wrong; an error of any other kind is a fault in mialib, and its kind is said."""

CLUSTER_HELP = "of a Dask scheduler, to train the models there"


def data(arguments):
    """List the data sets, or load one and say what it is."""
    from mialib.datasets import catalog

    if not arguments.name:
        for name in catalog.SOURCES:
            print(f"{name:10} {', '.join(catalog.sources(name))}")
        return
    loaded = catalog.load(arguments.name, arguments.source or catalog.sources(arguments.name)[0])
    print(f"{' x '.join(map(str, loaded.x.shape))}, {loaded.n_classes} classes\n{loaded.provenance}")


def run(arguments):
    """Run one chapter with other parameters."""
    from mialib.book import chapters

    output = arguments.output or Path(f"{arguments.chapter}.out.ipynb")
    chapters.execute(chapters.path(arguments.chapter), output, _given(arguments))
    print(output)


def _given(arguments):
    """Return a chapter's parameters: those of a profile, and over them what was said; nobody's profile is "own"."""
    from mialib.book import chapters
    from mialib.book.parameters import read_given

    said = read_given(arguments.parameter)
    chapters.check_parameters(chapters.path(arguments.chapter), said)
    if said and arguments.profile == "sample" and arguments.chapter not in chapters.OVERVIEWS:
        said = {"profile": "own", **said}
    return {**chapters.profile_parameters(arguments.chapter, arguments.profile), **said}


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
    from mialib.base.files import write_files
    from mialib.base.machine import CLUSTER
    from mialib.book.pictures import png
    from mialib.book.sweeps import grid, lines, sweep
    from mialib.plots import curve
    from mialib.plots.style import sign

    points, folder = grid(arguments.grid), arguments.output or Path("_build", "sweeps", arguments.chapter)
    given = _given(arguments)
    if given.get("profile", "sample") == "sample":
        given["profile"] = "own"
    environment = {CLUSTER: arguments.cluster} if arguments.cluster else {}
    numbers, failures = sweep(arguments.chapter, points, given, folder, environment)
    for point, message in failures.items():
        print(f"{point} failed: {message}", file=sys.stderr)
    axis, quantity = next(iter(points[0])), arguments.quantity or numbers["quantity"].iloc[0]
    kinds = ", ".join(sorted(numbers["data"].unique()))
    figure = curve(lines(numbers, axis, quantity), axis, quantity)
    figure = sign(figure, f"{arguments.chapter} · {kinds} data · profile {given['profile']}")
    write_files({folder / "numbers.png": png(figure, 150)})
    print(f"{folder / 'numbers.csv'}\n{folder / 'numbers.png'}")


def refresh(arguments):
    """Run chapters at their defaults and commit their outputs."""
    from mialib.book import build, chapters

    build.refresh(arguments.chapter or [path.stem for path in chapters.paths()])


def record(arguments):
    """Run chapters in a profile, from each of some seeds that is not recorded yet, and keep their numbers."""
    from mialib.book import build, chapters
    from mialib.book.runs import recorded_path

    if arguments.check:
        for name, seeds in build.outdated().items():
            print(f"{name}: recorded by other code, seeds {', '.join(map(str, seeds))}")
        return
    for name in arguments.chapter or chapters.measuring():
        for seed in range(arguments.seeds):
            path = recorded_path(name, arguments.profile, seed)
            if arguments.anew or not path.exists():
                print(build.record(name, arguments.profile, seed), flush=True)
    build.write_score()  # one that was killed may have kept its numbers, and not said so anywhere yet


def show_claims(arguments):
    """Print the ledger of claims, and how many of them the recorded runs bear out."""
    from mialib.book import ledger, tables
    from mialib.book.runs import recordings

    runs = recordings()
    if arguments.by_figure:
        print(tables.item_table(runs).frame.to_string())
    else:
        for claim in ledger.read_claims():
            if arguments.chapter in (None, claim.chapter):
                print(f"{claim.id}  ({claim.where}; {claim.chapter})\n  {claim.statement}")
                print(f"  paper: {claim.paper or 'no value'}; judged: {', '.join(claim.quantities)} {claim.judge}")
                print(f"  {claim.why}\n  {ledger.verdict_of(claim, runs)}")
    print(tables.score_table({"recorded": runs}))


def cache(arguments):
    """Say how much is cached, or remove trained models and chapters that were run."""
    import shutil

    from mialib.base.machine import cache_dir
    from mialib.book.runs import all_kept
    from mialib.models.cache import ModelCache

    models = ModelCache()
    if arguments.clear:
        models.clear()
        for folder in all_kept():
            shutil.rmtree(folder)
    n_models, n_bytes = models.size()
    print(f"{cache_dir()}: {n_models} models, {n_bytes / 2**20:.1f} MiB; {len(all_kept())} runs of chapters")


def _from_one(text):
    """Return a whole number from 1 on."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def parser():
    """Return the parser of the command line."""
    about = "Membership inference, and the book that replicates it."
    end = f"What goes wrong is said in one sentence, with exit code 1; {TRACEBACK}=1 in the environment shows where."
    mia = argparse.ArgumentParser(prog="mia", description=about, epilog=end)
    commands = mia.add_subparsers(required=True, metavar="COMMAND")

    def command(name, function):
        added = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        added.set_defaults(function=function, verb=name)
        return added.add_argument

    option = command("data", data)
    option("name", nargs="?", help="a data set; without one, list all")
    option("--source", choices=serve.KINDS, help="by default the first that the set has")
    option = command("run", run)
    option("chapter")
    option("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    option("--profile", default="sample")
    option("-o", "--output", type=Path, help="by default CHAPTER.out.ipynb")
    option = command("book", whole_book)
    option("--profile", default="sample")
    option("--jobs", type=_from_one, metavar="N", help="chapters at the same time; by default 2, or half the cores")
    option("--dry-run", action="store_true", help="only say what it would take")
    option("--cluster", metavar="ADDRESS", help=CLUSTER_HELP)
    option = command("sweep", sweep)
    option("chapter")
    option("-g", "--grid", action="append", required=True, metavar="NAME=VALUES", help="1,2,5 or 0..4")
    option("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    option("-q", "--quantity", help="to draw along the first grid; by default the first that is measured")
    option("--profile", default="sample")
    option("-o", "--output", type=Path, metavar="FOLDER", help="by default _build/sweeps/CHAPTER")
    option("--cluster", metavar="ADDRESS", help=CLUSTER_HELP)
    option = command("refresh", refresh)
    option("chapter", nargs="*", help="by default all")
    option = command("record", record)
    option("chapter", nargs="*", help="by default all")
    option("--profile", default="paper")
    option("--seeds", type=_from_one, default=5, metavar="N", help="from seed 0 on; each is kept when it is done")
    option("--anew", action="store_true", help="also those that are recorded")
    option("--check", action="store_true", help="only say which recordings are older than the code they ran")
    serve.add_options(command("serve", serve.serve))
    audit.add_options(command("audit", audit.audit))
    option = command("claims", show_claims)
    option("--chapter")
    option("--by-figure", action="store_true", help="a table of the paper's tables, figures and sections instead")
    command("cache", cache)("--clear", action="store_true")
    return mia


def main(words=None):
    """Run the command; what goes wrong gives one sentence and exit code 1, or 128 and the number of the signal."""
    words = sys.argv[1:] if words is None else words
    for stream in (sys.stdout, sys.stderr):  # a name that a terminal cannot show must not end the work
        with suppress(AttributeError, ValueError):  # not a file, or closed
            stream.reconfigure(errors="backslashreplace")
    arguments = parser().parse_args(words, argparse.Namespace(words=list(words)))
    try:
        with stoppable():
            status = arguments.function(arguments) or 0
            sys.stdout.flush()
            return status
    except KeyboardInterrupt as stop:
        print("mia: interrupted; what was finished is kept", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except BrokenPipeError:  # who reads this has seen enough, such as head
        _discard_output()
        return 128 + signal.SIGPIPE
    except Exception as error:
        if os.environ.get(TRACEBACK, "0") not in ("", "0"):
            raise
        print(f"mia: {_sentence(arguments.verb, error)}", file=sys.stderr)
        with suppress(OSError):
            sys.stdout.flush()
            return 1
        _discard_output()
        return 1


def _discard_output():
    """Send what is still to be printed nowhere, so that Python does not complain of it at its end."""
    with suppress(OSError, ValueError):  # it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(verb, error):
    """Return what went wrong, in one line."""
    if isinstance(error, ModuleNotFoundError):
        return one_line(needs(f"mia {verb}", error, verb if verb in ("audit", "serve") else "book"))
    said = str(error)
    if isinstance(error, MemoryError):
        return one_line(f"memory ran out: {said}" if said else "memory ran out")
    if isinstance(error, OSError) and error.strerror:
        said = ": ".join([*([str(error.filename)] if error.filename else []), error.strerror])
    if isinstance(error, EXPECTED) and said and not isinstance(error, (NotImplementedError, RecursionError)):
        return one_line(said)
    return one_line(f"{type(error).__name__}: {said}") + f" ({TRACEBACK}=1 in the environment says where)"
