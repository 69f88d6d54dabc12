"""Where records come from, said beside every number that they led to."""

from dataclasses import asdict, dataclass

KINDS = ("real", "sample", "stand-in")


@dataclass(frozen=True)
class Provenance:
    """Origin of a data set.

    Parameters
    ----------
    name : str
        The data set's name in `mialib.datasets`.
    kind : {"real", "sample", "stand-in"}
        ``real``: the data that the paper used. ``sample``: real records in the place of the
        paper's; most ship with the project. ``stand-in``: generated records, which never
        confirm a claim of the paper.
    source : str
        Who collected the records, or how they were generated.
    licence : str
        Under which terms they may be used.
    sha256 : str
        Checksum of the file that was read; of the arrays themselves for a stand-in.
    """

    name: str
    kind: str
    source: str
    licence: str
    sha256: str

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; it must be one of {', '.join(KINDS)}")

    def __str__(self):
        return f"{self.name}: {self.kind} data, {self.source}; {self.licence}; sha256 {self.sha256}"


@dataclass(frozen=True)
class Origin:
    """The conditions under which a chapter measured its numbers, shown beside all of them.

    Parameters
    ----------
    chapter : str
        Name of the chapter's file, without its ending.
    profile : str
        Name of the set of parameters: ``sample``, ``laptop``, ``paper``, or one's own.
    seed : int
    data : Provenance
    """

    chapter: str
    profile: str
    seed: int
    data: Provenance

    @property
    def badge(self):
        """One line for a figure's corner and a table's foot (str)."""
        return f"{self.data.name} · {self.data.kind} data · profile {self.profile} · seed {self.seed}"

    def to_dict(self):
        """Return the fields as nested plain dicts."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields):
        """Return the Origin that `to_dict` came from."""
        return cls(**{**fields, "data": Provenance(**fields["data"])})


def joined(*provenances):
    """Return the provenance of numbers that several data sets led to.

    Its kind is the weakest of theirs: one stand-in makes a stand-in of all.
    """
    names, sources, checksums = (
        " and ".join(dict.fromkeys(getattr(p, field) for p in provenances)) for field in ("name", "source", "sha256")
    )
    kind = max((p.kind for p in provenances), key=KINDS.index)
    return Provenance(names, kind, sources, " and ".join(dict.fromkeys(p.licence for p in provenances)), checksums)
