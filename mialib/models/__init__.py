"""Stacks of neural networks, trained as one, and the cache that keeps them."""
