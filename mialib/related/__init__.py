"""The neighbours: model inversion, and models that remember too much."""
