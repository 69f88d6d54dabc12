"""What an endpoint says of its model, and what it answers: checked before it is believed."""

import numpy as np

from mialib.protocol import DATATYPES, NAMES, array_of, from_json

SUM_TOLERANCE = 1e-3


class ServiceError(RuntimeError):
    """An endpoint that cannot be asked, or whose answers cannot be believed."""


class Metadata:
    """What an endpoint says of a model.

    Parameters
    ----------
    shape : tuple of int
        Of a record; -1 where any length is allowed.
    dtype : dtype
    n_classes : int
    version : str
    complete : bool
        Whether it answers with all classes.
    """

    def __init__(self, shape, dtype, n_classes, version, complete):
        self.shape, self.dtype, self.n_classes, self.version, self.complete = shape, dtype, n_classes, version, complete

    @classmethod
    def read(cls, content, url):
        """Return what the reply to a metadata request says.

        Raises
        ------
        ServiceError
            If it does not say what a query needs.
        """
        try:
            (records,), vectors = content["inputs"], content["outputs"][0]
            shape, dtype = tuple(map(int, records["shape"][1:])), DATATYPES[records["datatype"]]
            _, n_classes = map(int, vectors["shape"])
            version = str((content.get("versions") or [""])[-1])
            answers = (content.get("parameters") or {}).get("answers", "full")
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ServiceError(
                f"{url} does not say what the model takes and gives ({type(error).__name__}: {error}); its metadata "
                "must name one input and one output, [records, ...] and [records, classes]"
            ) from error
        if n_classes < 2:
            raise ServiceError(f"{url} says that the model has {n_classes} classes; it must have at least 2")
        return cls(shape, dtype, n_classes, version, answers == "full")

    def records(self, x):
        """Return records as the endpoint takes them.

        Raises
        ------
        ValueError
            If they have another shape, or values that its type cannot hold.
        """
        x = np.asarray(x)
        wanted = len(self.shape) == x.ndim - 1 and all(
            theirs in (-1, ours) for theirs, ours in zip(self.shape, x.shape[1:], strict=True)
        )
        if not wanted:
            raise ValueError(f"records have shape {x.shape[1:]}; the endpoint takes {self.shape}")
        cast = x.astype(self.dtype)
        both_float = x.dtype.kind == cast.dtype.kind == "f"
        if not both_float and not np.array_equal(cast.astype(x.dtype), x):
            raise ValueError(
                f"records are {x.dtype}; the endpoint takes {NAMES[self.dtype]}, which cannot hold them all"
            )
        return np.ascontiguousarray(cast)


def read_answers(content, n, n_classes, complete, url):
    """Return the prediction vectors of a reply, once they can be believed.

    Parameters
    ----------
    content : dict
        From JSON.
    n, n_classes : int
        Records asked about, and classes that the endpoint said it has.
    complete : bool
        Whether each vector must sum to one.
    url : str

    Returns
    -------
    ndarray of float32, shape (n, n_classes)

    Raises
    ------
    ServiceError
        If there are not as many, or they are no probabilities.
    """
    try:
        vectors = array_of(content["outputs"][0])
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ServiceError(f"{url} answers what is no prediction ({error})") from error
    if vectors.shape != (n, n_classes):
        raise ServiceError(f"{url} answers {vectors.shape} to {n} records; it said that it has {n_classes} classes")
    vectors = vectors.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise ServiceError(f"{url} answers {np.count_nonzero(~np.isfinite(vectors))} values that are no numbers (NaN)")
    if vectors.min() < 0 or vectors.max() > 1 + SUM_TOLERANCE:
        raise ServiceError(
            f"{url} answers values of {vectors.min():.3g} to {vectors.max():.3g}, not probabilities of 0 to 1"
        )
    worst = np.abs(vectors.sum(axis=1) - 1).max()
    if complete and worst > SUM_TOLERANCE:
        raise ServiceError(
            f"{url} answers vectors that do not sum to one (off by up to {worst:.3g}); if it leaves classes out "
            "or rounds, say complete=False"
        )
    return vectors


def said(text, url):
    """Return what a reply says, a dict; a `ServiceError` if it is no JSON object."""
    try:
        return from_json(text)
    except ValueError as error:
        raise ServiceError(f"{url} answers what is no JSON object ({error})") from error
