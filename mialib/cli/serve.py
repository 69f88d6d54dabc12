"""The command ``mia serve``: which model is served, and how it answers."""

import logging
import os
import sys
from pathlib import Path

from mialib.attack.experiment import Experiment, train_target
from mialib.datasets import catalog
from mialib.models.training import Epochs, Recipe
from mialib.platforms import closed
from mialib.platforms.mitigations import LabelOnly, Rounding, TopK

PLATFORMS = {
    "network": lambda epochs: Recipe(length=Epochs(epochs)),
    "amazon": lambda epochs: closed.AmazonLike(epochs),
    **{name.replace(" ", "-"): lambda epochs, box=box: box for name, box in closed.GOOGLE_LIKE.items()},
}
ANSWERS = {"full": lambda: None, "top": TopK, "label": LabelOnly, "round": Rounding}


def add_options(parser, data_option):
    """Add the options of ``mia serve`` to its parser; `data_option` reads one NAME=VALUE."""
    parser.add_argument("dataset", help="a data set of mia data")
    parser.add_argument("--source", choices=catalog.SOURCES, help="by default the first that the set has")
    parser.add_argument("-d", "--data", action="append", default=[], type=data_option, metavar="NAME=VALUE")
    parser.add_argument("--size", type=int, default=1000, help="records that the model is trained on")
    parser.add_argument("--platform", choices=PLATFORMS, default="network")
    parser.add_argument("--epochs", type=int, default=40, help="passes over them; forests and trees have none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--answer",
        action="append",
        metavar="full|top:K|label|round:D",
        help="what a client gets to see; given more than once, each is a model of its own, named target-full and so on",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes one that is free, and prints it")
    parser.add_argument("--key-file", type=Path, help="holds the API key; without it MIALIB_API_KEY, or none")
    parser.add_argument("--largest", type=int, help="bytes of a request")
    parser.add_argument("--rate", type=int, help="records a minute for each client")
    parser.add_argument("--log", type=Path, help="where the query log goes; by default standard error")


def answer(text):
    """Return what a client gets to see, from such as ``top:3``; None for all of it.

    Raises
    ------
    ValueError
        If there is no such answer.
    """
    kind, _, number = text.partition(":")
    try:
        return ANSWERS[kind](*([int(number)] if number else []))
    except (KeyError, TypeError) as error:
        raise ValueError(f"answer is {text!r}; it must be full, top:K, label or round:D") from error


class NullCache:
    """A cache that keeps nothing: a service asked for weeks must not fill a disk with its answers."""

    def get(self, key):
        """Return None."""

    def put(self, key, parameters):
        """Keep nothing."""


def serve(arguments):
    """Serve a model over HTTP (Open Inference Protocol) until interrupted."""
    try:
        from mialib.service import server
    except ModuleNotFoundError as error:
        raise ValueError(f'mia serve needs {error.name}; install it with pip install "mialib[serve]"') from error
    key = arguments.key_file.read_text().strip() if arguments.key_file else os.environ.get("MIALIB_API_KEY") or None
    limits = server.Limits(key, arguments.largest or server.LARGEST, arguments.rate)
    source = arguments.source or catalog.sources(arguments.dataset)[0]
    answers = {text: answer(text) or server.Full() for text in arguments.answer or ["full"]}
    bound = server.listen(arguments.host, arguments.port, limits)
    data = catalog.load(arguments.dataset, source, **dict(arguments.data))
    platform = PLATFORMS[arguments.platform](arguments.epochs)
    cache = None if isinstance(platform, Recipe) else NullCache()
    _, models = train_target(Experiment(arguments.size, recipe=platform, seed=arguments.seed), data, cache)
    names = {text: f"target-{text.replace(':', '-')}" if len(answers) > 1 else "target" for text in answers}
    _log_to(arguments.log)
    host, port = bound.getsockname()[:2]
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    server.listen_until_stopped(
        server.app({names[t]: server.Served.of(models, data, a) for t, a in answers.items()}, limits), bound
    )


def _log_to(path):
    queries = logging.getLogger("mialib.queries")
    queries.addHandler(logging.FileHandler(path) if path else logging.StreamHandler(sys.stderr))
    queries.setLevel(logging.INFO)
    queries.propagate = False
