"""Whatever trains models and answers queries, besides a recipe of `mialib.models`."""
