"""Rows of images."""

from mialib.plots import style


def image_rows(rows, columns=()):
    """Draw images in rows, a column for each class or record, with headings.

    `rows` has the images of each row, (n, height, width) or (n, height, width, 3); pixels, 0 to 1.
    """
    n_columns = max(map(len, rows.values()))
    grid = style.grid(len(rows), n_columns, (1.6 + 0.62 * n_columns, 0.35 + 0.66 * len(rows)))
    for row, (name, images) in zip(grid, rows.items(), strict=True):
        row[0].set_ylabel(style.plain(name), rotation=0, ha="right", va="center", fontsize=8)
        for axes, image in zip(row, images, strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, heading in zip(grid[0], columns, strict=False):
        axes.set_title(style.plain(heading), fontsize=8)
    return grid[0, 0].figure
