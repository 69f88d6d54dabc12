"""How many threads torch computes on."""

from contextlib import contextmanager

import torch


@contextmanager
def one_thread():
    """Compute on one thread inside: for small tensors, where threads wait for each other longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
