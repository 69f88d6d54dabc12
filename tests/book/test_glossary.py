from pathlib import Path

from mialib.book.glossary import PLAIN, link, read_terms

BOOK = Path(__file__).parents[2] / "book"
LISTED = """# Glossary

```{glossary}
:sorted:

member
  One of the {term}`training set`.

non-member
  Not one.

shadow model
  A model of the attacker's.

ROC curve
  A curve.
```
"""


def test_the_terms_are_those_of_the_glossary():
    assert read_terms(LISTED) == ["member", "non-member", "shadow model", "ROC curve"]
    terms = read_terms((BOOK / "glossary.md").read_text(encoding="utf-8"))
    assert {"attack model", "L2 penalty", "95 % interval", "top-k filter"} < {*terms}
    assert {*terms} > PLAIN


def test_a_term_is_linked_where_a_chapter_first_uses_it():
    cells = ["# A shadow model\n\nA non-member, and *Shadow models*.", "Each shadow model; each member; ROC curves."]
    assert link(cells, read_terms(LISTED)) == [
        "# A shadow model\n\nA {term}`non-member <non-member>`, and *{term}`Shadow models <shadow model>`*.",
        "Each shadow model; each {term}`member <member>`; {term}`ROC curves <ROC curve>`.",
    ]


def test_code_formulas_links_roles_and_blocks_are_left_alone():
    kept = (
        "`member` $member$ [a member](x.md) {cite:p}`member` <b class='member'>\n\n"
        "| member |\n\n$$member$$\n\n```{exercise} One\nmember\n```\n\n:::{note}\nmember\n:::\nmembership remember"
    )
    assert link([kept], ["member"]) == [kept]
