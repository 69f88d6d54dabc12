"""Labels as people write them, as positions in a model's prediction vectors."""

import numpy as np

from mialib.submission.tables import some


def plain_labels(labels, name, n):
    """Return labels with one for each of n records, ndarray of shape (n,), and remarks: one-hot rows become numbers."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape == (n, 1):
        return labels[:, 0], []
    if labels.ndim == 2 and len(labels) == n and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all():
        return labels.argmax(axis=1), [
            f"{name} are one-hot, and read as class numbers from 0 to {labels.shape[1] - 1}."
        ]
    if labels.shape != (n,):
        raise ValueError(f"{name} have shape {labels.shape}; it must be ({n},), or one-hot rows of ({n}, classes)")
    return labels, []


def label_key(label):
    """Return what labels that mean the same have in common (str): 1, 1.0, '01' and True are one class."""
    text = str(label).strip()
    if text.lower() in ("true", "false"):
        return str(int(text.lower() == "true"))
    try:
        number = float(text)
    except ValueError:
        return text
    if not np.isfinite(number):
        return text
    return str(int(number)) if number == np.floor(number) else repr(number)


def class_numbers(labels, n_classes, classes=None):
    """Return labels as positions in a prediction vector, and remarks.

    Parameters
    ----------
    labels : ndarray, shape (n,)
    n_classes : int
    classes : sequence, optional
        What the model calls its classes; without it labels are positions, from 0, or from 1 if they go up to
        `n_classes`.

    Returns
    -------
    numbers : ndarray of int64, shape (n,)
        -1 for a class that the model does not have.
    remarks : list of str

    Raises
    ------
    ValueError
        If no label is a class of the model, or, without `classes`, some label is none.
    """
    found, back = np.unique(np.array([str(label) for label in labels]), return_inverse=True)
    found = found.tolist()
    if classes is not None:
        place = {str(c): i for i, c in enumerate(classes)}
        said = []
        if any(label not in place for label in found):
            keys = {label_key(c): i for i, c in enumerate(classes)}
            if len(keys) == len(classes):
                taken = [label for label in found if label not in place and label_key(label) in keys]
                place = {label: keys[label_key(label)] for label in found if label_key(label) in keys}
                if taken:
                    as_ = str(classes[place[taken[0]]])
                    said = [f"Labels are written in another way than the model's classes: {taken[0]!r} is {as_!r}."]
        if not any(label in place for label in found):
            raise ValueError(f"the model has no class {some(found)}; it has {some(classes)}")
        return np.array([place.get(label, -1) for label in found], np.int64)[back], said
    try:
        numbers = np.array([float(label_key(label)) for label in found])
    except ValueError as error:
        word = next(label for label in found if not _is_float(label_key(label)))
        raise ValueError(
            f"labels are names such as {word!r}, and the model does not say which entry of its answers is whose; name "
            f"its {n_classes} classes in their order with --classes, or give numbers from 0 to {n_classes - 1}"
        ) from error
    if not (np.isfinite(numbers) & (numbers == np.floor(numbers))).all():
        raise ValueError(f"labels are not whole numbers; they must run from 0 to {n_classes - 1}")
    low, high, said = numbers.min(), numbers.max(), []
    if low == 1 and high == n_classes:
        numbers, said = numbers - 1, [f"Labels run from 1 to {n_classes}; they are read as from 0 to {n_classes - 1}."]
    elif low < 0 or high >= n_classes:
        raise ValueError(
            f"labels run from {low:.15g} to {high:.15g}, but prediction vectors have {n_classes} entries; labels must "
            f"run from 0 to {n_classes - 1}"
        )
    return numbers.astype(np.int64)[back], said


def _is_float(text):
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def known_classes(records, numbers, where, classes):
    """Return which records are of a class that the model has, and a remark on the others; those in must all be.

    `numbers` are those of `class_numbers`.
    """
    foreign = np.flatnonzero(numbers < 0)
    if not len(foreign):
        return numbers >= 0, []
    names = some(dict.fromkeys(str(records.labels[i]) for i in foreign))
    rows = ", ".join(map(str, foreign[:5] + 1)) + (" and others" if len(foreign) > 5 else "")
    said = f"{len(foreign)} of the records {where} (record {rows}) are of class {names}, which the model does not have"
    if where == "in":
        raise ValueError(f"{said}; it has {some(classes)}: records that it was trained on are of its classes")
    return numbers >= 0, [f"{said}, and are left out."]
