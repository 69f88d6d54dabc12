"""Classes for records that have none, found by clustering, as the paper made its own (§VI-A)."""

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits


def clusters(x, n, max_iter=1000):
    """Cluster records into `n` classes: k-means on rows scaled to length one.

    The paper does not name its clustering. On raw rows, k-means makes many classes of one record.
    Whole double precision and a jitter on the first centres leave no ties, so that the last bit
    of a sum does not decide a label.

    Parameters
    ----------
    x : ndarray or sparse array, shape (n_records, features)
    n : int
    max_iter : int

    Returns
    -------
    ndarray of uint8, shape (n_records,)
        Class of each record, 0 to ``n - 1``.
    """
    x = normalize(x.astype(np.float64))
    with threadpool_limits(1):
        centres, _ = kmeans_plusplus(x, n, random_state=0)
        centres += np.random.default_rng(0).normal(0, 1e-4, centres.shape)
        return KMeans(n, init=centres, n_init=1, max_iter=max_iter, tol=0).fit(x).labels_.astype(np.uint8)
