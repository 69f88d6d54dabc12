"""What training would cost on an H100, on paper: operations, bytes and launches of every kernel of an update.

    python benchmarks/gpu_cost.py

No GPU is needed: fake tensors go through `fit_stack` as a GPU's would and compute nothing. Of each kernel, what it
multiplies and what it reads and writes are counted, and the longest of three is taken: its operations at the peak of
the processor, its bytes at the bandwidth of the memory, and its launch. A real GPU reaches less of either peak, and
keeps in its cache some of what is counted as read. Peaks are those of NVIDIA's data sheet for the H100 SXM.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from mialib import CNN, NN, Recipe
from mialib.base.seeding import children
from mialib.models import training
from mialib.models.kernels import BFloat16, Float32

PEAK = {torch.float32: 67e12, torch.bfloat16: 989e12}  # operations a second, float32 without tensor cores
BANDWIDTH, MEMORY = 3.35e12, 80e9  # bytes a second, and in all
LAUNCH = 4e-6  # seconds that a kernel takes to start, at least
CASES = {
    "Purchase NN, 600-128-100, 10,000 records": (NN(), (600,), np.uint8, 100, 10_000),
    "CIFAR CNN, 2,500 images, float32": (CNN(products=Float32()), (32, 32, 3), np.uint8, 10, 2500),
    "CIFAR CNN, 2,500 images, bfloat16": (CNN(products=BFloat16()), (32, 32, 3), np.uint8, 10, 2500),
}


@dataclass
class Cost(TorchDispatchMode):
    """What the kernels cost that run on the GPU while the mode is on."""

    operations: float = 0
    n_bytes: float = 0
    kernels: int = 0
    seconds: dict = field(default_factory=lambda: dict.fromkeys(("operations", "bytes", "launches"), 0.0))

    def __post_init__(self):
        super().__init__()

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        found = function(*arguments, **(named or {}))
        leaves = torch.utils._pytree.tree_leaves((arguments, named, found))
        tensors = {id(leaf): leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.device.type == "cuda"}
        of_views = function.is_view or any(word in str(function) for word in ("empty", "_unsafe_view"))
        if not tensors or of_views or function.namespace != "aten":
            return found
        count = flop_registry.get(function.overloadpacket)
        operations = count(*arguments, **(named or {}), out_val=found) if count else 0
        n_bytes = sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())
        times = {
            "operations": operations / PEAK.get(next(iter(tensors.values())).dtype, PEAK[torch.float32]),
            "bytes": n_bytes / BANDWIDTH,
            "launches": LAUNCH,
        }
        longest = max(times, key=times.get)
        self.seconds[longest] += times[longest]
        self.operations += operations
        self.n_bytes += n_bytes
        self.kernels += 1
        return found


def of_update(architecture, shape, dtype, n_classes, n_models):
    """Return the `Cost` of an update of all models, the difference of trainings that are one update longer."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2, (400, *shape)).astype(dtype), rng.integers(0, n_classes, 400)
    costs = []
    for steps in (8, 9):
        with FakeTensorMode(allow_non_fake_inputs=True), Cost() as cost:
            index = [np.arange(400)] * n_models
            training.fit_stack(
                Recipe(architecture, steps=steps), x, y, n_classes, index, children(0, n_models), torch.device("cuda")
            )
        costs.append(cost)
    first, second = costs
    seconds = {name: second.seconds[name] - first.seconds[name] for name in first.seconds}
    differences = (getattr(second, name) - getattr(first, name) for name in ("operations", "n_bytes", "kernels"))
    return Cost(*differences, seconds)


def main():
    torch.isfinite = lambda numbers: np.ones(1, bool)  # fake numbers are neither finite nor not
    print("| | models | GFLOP | MB | kernels | µs: operations, bytes, launches | ms a model-epoch |")
    print("|---|---|---|---|---|---|---|")
    for name, (architecture, shape, dtype, n_classes, n_records) in CASES.items():
        x = np.empty((n_records * 4, *shape), dtype)
        room = MEMORY / 2 - x.nbytes
        most = int(room // training.bytes_a_model(Recipe(architecture), x, n_classes))
        for n_models in (1, 10, 100, 1000) if isinstance(architecture, NN) else (1, 10):
            cost = of_update(architecture, shape, dtype, n_classes, n_models)
            parts = ", ".join(f"{1e6 * part:.0f}" for part in cost.seconds.values())
            epoch = 1e3 * sum(cost.seconds.values()) * n_records / 100 / n_models
            row = (name, n_models, f"{cost.operations / 1e9:.2f}", f"{cost.n_bytes / 1e6:,.0f}", cost.kernels, parts)
            print("|", " | ".join(map(str, (*row, f"{epoch:.2f}"))), "|", flush=True)
        print(f"| {name}: a block holds | {most:,} | | | | | |")


if __name__ == "__main__":
    main()
