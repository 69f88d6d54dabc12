from collections import Counter

import pytest

from mialib.book import ledger
from mialib.book.claims import BEYOND

PRINTED = {"Table I": 8, "Table II": 27, "Table III": 92}
"""Numbers that the paper prints in each of its tables, without those of the gap attack, which are derived."""


def test_every_number_of_the_papers_tables_has_a_claim():
    assert {where: n for where, n in Counter(c.where for c in ledger.printed()).items() if "T" in where} == PRINTED


def test_every_table_and_figure_with_a_result_has_a_claim():
    found = ledger.by_item({})
    assert [item for item in ledger.ITEMS if not found[item]] == []
    assert sum(map(len, found.values())) >= len(ledger.read_claims())
    assert all(verdict.scope == BEYOND for verdict in found[BEYOND])


def test_every_claim_says_why_and_names_a_chapter():
    for claim in ledger.read_claims():
        assert claim.why.strip(), claim.id
        assert claim.quantities, claim.id
        assert "exploratory" not in claim.why, claim.id


@pytest.mark.parametrize(
    ("where", "of", "row", "column", "value"),
    [
        ("Table I", None, "local NN", "train accuracy", 0.83),
        ("Table II", None, "50 classes", "precision", 0.86),
        ("Table III", "Purchase", "L2 1e-3", "recall", 0.86),
        ("Table III", "Texas", "temperature 20", "attack accuracy", 0.76),
        ("Fig. 4", "CIFAR-10", "15,000 in", "median precision", 0.71),
        ("Fig. 9", None, "model-based", "recall", 0.526),
    ],
)
def test_the_papers_numbers_are_as_printed(where, of, row, column, value):
    assert ledger.paper_table(where, of)[row][column] == value
    (claim,) = (
        c
        for c in ledger.printed()
        if c.where == where
        and c.paper == f"{value:g}"
        and row in c.statement
        and column in c.statement
        and (of or "") in c.statement
    )
    assert claim.judge.bounds[0] == value
    assert claim.judge.kind == "within"
    assert 0 < claim.judge.bounds[1] <= 0.2


def test_a_table_that_the_paper_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"paper\.yaml has no Table IV"):
        ledger.paper_table("Table IV")
    with pytest.raises(ValueError, match=r"paper\.yaml has no Table III of MNIST"):
        ledger.paper_table("Table III", "MNIST")
