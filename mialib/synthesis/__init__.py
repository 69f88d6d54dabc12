"""Shadow data without data: the search by queries (Algorithm 1), marginals, noise."""
