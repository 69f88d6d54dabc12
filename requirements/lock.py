"""Write the versions, with their hashes, that `make` and the container install: lock.txt, torch.txt and uv.txt.

torch.txt holds torch and what its usual wheel for Linux brings for GPUs, 5 GB, so that who wants torch for the CPU
alone can take that from PyTorch's own index instead; uv.txt holds uv, which installs lock.txt. `make lock`.
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOR_GPUS = re.compile(r"(torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
COMMAND = "uv pip compile pyproject.toml --extra test --universal --generate-hashes --no-header"


def main(options):
    """Compile anew; options such as ``--upgrade-package numpy`` go to uv, which otherwise takes the newest of all."""
    command = [sys.executable, "-m", *COMMAND.split(), "--no-annotate", "--python-version=3.11", *options]
    told = subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    blocks = re.findall(r"^\S.*\n(?: +.*\n)*", told, re.MULTILINE)
    kept = {"lock.txt": [], "torch.txt": [], "uv.txt": []}
    for block in blocks:
        name = "torch.txt" if FOR_GPUS.match(block) else "uv.txt" if block.startswith("uv==") else "lock.txt"
        kept[name].append(block)
    for name, of in kept.items():
        HERE.joinpath(name).write_text("# make lock\n" + "".join(of), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
