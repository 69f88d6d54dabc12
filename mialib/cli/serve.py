"""The command ``mia serve``: which model is served, and how it answers."""

import ipaddress
import logging
import os
import sys
from pathlib import Path

KINDS = ("real", "sample", "stand-in")
PLATFORMS = ("network", "amazon", "boosted-trees", "random-forest", "wide-network")


def add_options(option):
    """Add the options of ``mia serve`` by `option`, the function that adds one."""
    option("dataset", help="a data set of mia data")
    option("--source", choices=KINDS, help="by default the first that the set has")
    option("-d", "--data", action="append", default=[], metavar="NAME=VALUE")
    option("--size", type=int, default=1000, help="records that the model is trained on")
    option("--platform", choices=PLATFORMS, default="network")
    option("--epochs", type=int, default=40, help="passes over them; forests and trees have none")
    option("--seed", type=int, default=0)
    option(
        "--answer",
        action="append",
        metavar="full|top:K|label|round:D",
        help="what a client gets to see; given more than once, each is a model of its own, named target-full and so on",
    )
    option("--host", default="127.0.0.1", help="what it listens at; without a key only 127.0.0.1, ::1 or localhost")
    option("--port", type=int, default=8000, help="0 takes one that is free, and prints it")
    option("--key-file", type=Path, help="holds the API key; without it MIALIB_API_KEY, or none")
    option("--largest", type=int, help="bytes of a request; by default 32 MiB")
    option(
        "--rate",
        type=int,
        help="records per minute for each client: an address, an IPv6 network (/64), or all of loopback; with a key, "
        "all who have it. However many ask, few are answered at a time; one that waits for long, or sends slowly, is "
        "refused with 503 or 408, and silent connections are closed",
    )
    option(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="under which requests may come (Host), besides those of loopback; by default any if there is a key. Pages "
        "of another origin are always refused",
    )
    option(
        "--proxy",
        action="append",
        default=[],
        type=address,
        metavar="ADDRESS",
        help="of a proxy that may say for whom it asks (X-Forwarded-For); by default nobody is believed",
    )
    option("--log", type=Path, help="where the query log goes; by default standard error")


def address(text):
    """Return the IP address that a word is; argparse makes a sentence of a ValueError."""
    return str(ipaddress.ip_address(text))


def answer(text):
    """Return the filter of such as ``top:3``, None for ``full``; a ValueError if there is no such answer."""
    from mialib.platforms.mitigations import LabelOnly, Rounding, TopK

    kind, _, number = text.partition(":")
    try:
        filters = {"full": lambda: None, "top": TopK, "label": LabelOnly, "round": Rounding}
        return filters[kind](*([int(number)] if number else []))
    except (KeyError, TypeError) as error:
        raise ValueError(f"answer is {text!r}; it must be full, top:K, label or round:D") from error


def platform(name, epochs):
    """Return what trains the model, by its name in `PLATFORMS`."""
    from mialib.models.training import Recipe
    from mialib.platforms.closed import GOOGLE_LIKE, AmazonLike

    google = {box.replace(" ", "-"): platform for box, platform in GOOGLE_LIKE.items()}
    return ({"network": Recipe(epochs=epochs), "amazon": AmazonLike(epochs)} | google)[name]


class NullCache:
    """A cache that keeps nothing: a service asked for weeks must not fill a disk with its answers."""

    def get(self, key):
        """Return None."""

    def put(self, key, parameters):
        """Keep nothing."""


def _loaded(name, source, options):
    """Return a data set, with options from a shell, whose kinds nothing has checked."""
    from mialib.datasets import catalog

    try:
        return catalog.load(name, source, **options)
    except TypeError as error:
        given = ", ".join(f"{option}={value!r}" for option, value in options.items())
        raise ValueError(f"{name} ({source}) cannot be made with {given}: {error}") from error


def serve(arguments):
    """Serve a model over HTTP (Open Inference Protocol) until interrupted."""
    from mialib.attack.experiment import Experiment, train_target
    from mialib.base.files import check_writable
    from mialib.book.parameters import read_given
    from mialib.datasets import catalog
    from mialib.service import server
    from mialib.service.gate import LARGEST

    if arguments.log:
        check_writable(arguments.log)

    key = arguments.key_file.read_text().strip() if arguments.key_file else os.environ.get("MIALIB_API_KEY") or None
    largest = LARGEST if arguments.largest is None else arguments.largest
    gate = server.Gate(key, largest, arguments.rate, arguments.allowed_host)
    options = read_given(arguments.data)
    source = arguments.source or catalog.sources(arguments.dataset)[0]
    answers = {text: answer(text) for text in arguments.answer or ["full"]}
    bound = server.listen(arguments.host, arguments.port, gate)
    data = _loaded(arguments.dataset, source, options)
    trained_by = platform(arguments.platform, arguments.epochs)
    cache = None if arguments.platform == "network" else NullCache()
    _, models = train_target(Experiment(arguments.size, recipe=trained_by, seed=arguments.seed), data, cache)
    names = {text: f"target-{text.replace(':', '-')}" if len(answers) > 1 else "target" for text in answers}
    queries = logging.getLogger("mialib.queries")
    queries.addHandler(logging.FileHandler(arguments.log) if arguments.log else logging.StreamHandler(sys.stderr))
    queries.setLevel(logging.INFO)
    queries.propagate = False
    served = {names[text]: server.Served.from_data(models, data, kind) for text, kind in answers.items()}
    service = server.app(served, gate)
    host, port = bound.getsockname()[:2]
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)  # who reads this may ask at once
    server.listen_until_stopped(service, bound, arguments.proxy)
    logging.shutdown()
    os._exit(0)  # neither a model that still answers nor what libraries do at exit holds up the end
