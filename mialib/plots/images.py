"""Rows of images."""

import matplotlib.pyplot as plt

from mialib.plots.style import _signed


def image_rows(rows, origin, columns=None):
    """Draw images in rows, a column for each class or record.

    Parameters
    ----------
    rows : dict of str to ndarray, shape (n, height, width) or (n, height, width, 3)
        Row to its images; pixels, 0 to 1.
    origin : Origin
    columns : sequence of str, optional
        Headings.

    Returns
    -------
    Figure
    """
    n_columns = max(map(len, rows.values()))
    size = (1.6 + 0.62 * n_columns, 0.35 + 0.66 * len(rows))
    figure, axes = plt.subplots(len(rows), n_columns, figsize=size, layout="constrained", squeeze=False)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        for place, image in zip(row, images, strict=False):
            place.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for place in axes.flat:
        place.set(xticks=[], yticks=[])
        place.spines[:].set_visible(False)
    for place, heading in zip(axes[0], columns or (), strict=False):
        place.set_title(heading, fontsize=8)
    return _signed(figure, origin)
