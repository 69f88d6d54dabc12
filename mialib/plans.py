"""What each chapter trains, by its parameters: models, and the work that they take."""

from dataclasses import dataclass, field

from mialib.convolution import CNN
from mialib.models import NN

SHAPES = {
    "adult": ((108,), 2),
    "cifar10": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "digits": ((64,), 10),
    "hospital": ((1743,), 100),
    "location": ((446,), 30),
    "mnist": ((32, 32), 10),
    "purchase": ((600,), 100),
    "texas": ((6170,), 100),
}
"""Shape of a record and number of classes of each data set."""


@dataclass(frozen=True)
class Training:
    """Models of one kind that a chapter trains.

    Parameters
    ----------
    dataset : str
    n_models, n_records : int
        How many, each on how many records.
    epochs : int
    architecture : NN or CNN
    """

    dataset: str
    n_models: int
    n_records: int
    epochs: int
    architecture: NN | CNN = field(default_factory=NN)

    @property
    def _one(self):
        return self.architecture.stack(0, *SHAPES[self.dataset])

    @property
    def multiplications(self):
        """Multiplications, forward and backward (float)."""
        return 3.0 * self.n_models * self.n_records * self.epochs * self._one.multiplications

    @property
    def disk(self):
        """Bytes of the trained models (int)."""
        return 4 * self.n_models * self._one.n_parameters

    @property
    def memory(self):
        """Bytes of records and of prediction vectors that are held at once (int)."""
        _, n_classes = SHAPES[self.dataset]
        return 2 * self.n_models * self.n_records * 4 * n_classes + self.disk


@dataclass(frozen=True)
class Forests:
    """Models of scikit-learn that a chapter fits.

    Parameters
    ----------
    dataset : str
    n_models, n_records : int
    kept : bool
        Whether their answers are kept in the cache.
    """

    dataset: str
    n_models: int
    n_records: int
    kept: bool = True

    @property
    def multiplications(self):
        """Multiplications of a network's training that takes about as long (float)."""
        return 3.0 * self.n_models * self.n_records * 60 * 90_000

    @property
    def disk(self):
        """Bytes of the answers (int)."""
        return self.kept * self.memory

    @property
    def memory(self):
        """Bytes of prediction vectors that are held at once (int)."""
        return 2 * self.n_models * self.n_records * 4 * SHAPES[self.dataset][1]


def _threat_model(p):
    return [Training(p["dataset"], 1 + p["n_shadow"], p["size"], p["epochs"])]


def _shadow_training(p):
    return [Training(p["dataset"], p["n_repetitions"] * (1 + 2 * p["n_shadow"]), p["size"], p["epochs"])]


def _cifar(p):
    n, architecture = 1 + p["n_shadow"], CNN()
    return [
        *(Training("cifar10", n, size, p["epochs"], architecture) for size in p["sizes_10"]),
        *(Training("cifar100", n, size, p["epochs"], architecture) for size in p["sizes_100"]),
        *(Training("cifar10", n, p["sizes_10"][0], epochs, architecture) for epochs in p["fewer_epochs"]),
    ]


def _location(p):
    return [Training("location", 1 + p["n_shadow"], p["size"], p["epochs"])]


def _purchases(p):
    n, counts, size = 1 + p["n_shadow"], len(set(p["class_counts"]) - {100}), p["size"]
    return [
        Training("purchase", n * (1 + counts), size, p["epochs"]),
        Training("purchase", n, size, 10, NN(())),
        Training("purchase", n, size, 100, NN(())),
        Training("purchase", n, size, 20, NN((1024,))),
        Forests("purchase", n * (2 + counts), size),
    ]


def _texas(p):
    n = 1 + p["n_shadow"]
    return [Training(p["dataset"], n, p["size"], p["epochs"]), Forests(p["dataset"], n, p["size"])]


def _failures(p):
    n, few, many = 1 + p["n_shadow"], p["few_epochs"], p["many_epochs"]
    sizes = {"mnist": p["mnist_size"], "adult": p["adult_size"]}
    return [
        *(Training(name, n, size, few) for name, size in sizes.items()),
        Training("mnist", 2 * n, sizes["mnist"], many),
        Training("adult", 3 * n, sizes["adult"], many),
        Training("digits", 2 * n, p["digits_size"], many),
        Forests("mnist", 2 * n, sizes["mnist"]),
        Forests("adult", 3 * n, sizes["adult"]),
        Forests("digits", 2 * n, p["digits_size"]),
    ]


def _noise(p):
    noisy = 2 * sum(share > 0 for share in p["shares"])
    return [Training("location", 1 + p["n_shadow"] * (1 + noisy), p["size"], p["epochs"])]


def _synthesis(p):
    targets = 1 + len(p["features"]) + len(set(p["classes"]) - {p["n_classes"]})
    return [
        Training("purchase", 4 * p["n_shadow"] + targets, p["size"], p["epochs"]),
        Training("mnist", 1, p["image_size"], 30),
    ]


def _overfitting(p):
    n, near_20 = 1 + p["n_shadow"], min(p["class_counts"], key=lambda count: abs(count - 20))
    sets = {f"purchase {count}": p["size"] for count in p["class_counts"]}
    sets |= {name: size for name, (_, size) in p["others"].items()}
    varied = f"purchase {near_20}"
    networks = [(name, size, p["epochs"], NN()) for name, size in sets.items()]
    networks += [(varied, p["size"], epochs, NN(())) for epochs in p["sweep_epochs"]]
    networks += [(varied, p["size"], epochs, NN((width,))) for width in p["widths"] for epochs in p["sweep_epochs"]]
    same = NN((p["widths"][len(p["widths"]) // 2],))
    networks += [(varied, size, p["sweep_epochs"][-2], same) for size in p["sweep_sizes"]]
    return [
        *(Training(name.split()[0], n, *rest) for name, *rest in dict.fromkeys(networks)),
        *(Training(name.split()[0], n, size, passes, NN(())) for name, size in sets.items() for passes in (10, 100)),
        *(Forests(name.split()[0], n, size) for name, size in sets.items()),
        Forests("purchase", 5 * n, p["size"]),  # with larger leaves; those of one record are among the sets
    ]


def _mitigations(p):
    n, m, l2 = 1 + p["n_shadow"], 1 + p["hospital_shadow"], [row for row in p["hospital_rows"] if row.startswith("L2")]
    network, wide = NN((p["width"],)), NN((p["hospital_width"],))
    ways, hospital_ways = 1 + len(p["l2"]) + len(p["dropout"]), 1 + (len(l2) if p["hospital_rows"] else 5)
    return [
        Training("purchase", n * ways, p["size"], p["epochs"], network),
        Training("purchase", n, p["size"], 20, network),
        Training("purchase", 7, p["label_size"], p["epochs"], network),
        Training(p["hospital"], m * hospital_ways, p["hospital_size"], p["hospital_epochs"], wide),
    ]


def _differential_privacy(p):
    ways = len(p["epsilons"]) + 2
    return [Training("purchase", ways * (1 + p["n_shadow"]), p["size"], p["epochs"], NN((p["width"],)))]


def _audit(p):
    n = 1 + p["n_shadow"]
    return [
        Training(p["dataset"], 1 + 2 * p["n_network_shadow"], p["size"], p["epochs"]),
        Forests("adult", n, p["adult_size"], kept=False),
    ]


def _model_inversion(p):
    n = 1 + p["n_shadow"]
    return [
        Training("cifar10", n, p["size"], p["epochs"], CNN()),
        Training("mnist", n, p["mnist_size"], p["mnist_epochs"]),
    ]


def _remember_too_much(p):
    n, hidden = 1 + p["n_shadow"], (p["hidden"],)
    architecture = CNN(hidden=hidden) if p["convolutions"] else NN(hidden)
    trainings = {p["epochs"]: n + 1, p["short_epochs"]: n}  # one more, by the trainer who abuses capacity
    return [Training(p["dataset"], m, p["size"], epochs, architecture) for epochs, m in trainings.items()]


PLANS = {
    "threat_model": _threat_model,
    "shadow_training": _shadow_training,
    "cifar": _cifar,
    "location": _location,
    "purchases": _purchases,
    "texas": _texas,
    "failures": _failures,
    "noise": _noise,
    "synthesis": _synthesis,
    "overfitting": _overfitting,
    "mitigations": _mitigations,
    "differential_privacy": _differential_privacy,
    "audit": _audit,
    "model_inversion": _model_inversion,
    "remember_too_much": _remember_too_much,
}
"""What each chapter trains, by its parameters."""
