import re

import papermill
import pytest

from mialib.base.machine import shipped
from mialib.book import chapters
from mialib.book.parameters import checked, declared, injected, of_notebook, read_given

CELL = 'size: int = 10\nrate: float = 0.5\nsizes: list[int] = [1, 2]  # of each\nname: str = "a"\ndry: bool = False\n'
KNOWN = declared(CELL)


def test_parameters_are_read_from_their_cell():
    assert KNOWN == {
        "size": ("int", 10),
        "rate": ("float", 0.5),
        "sizes": ("list[int]", [1, 2]),
        "name": ("str", "a"),
        "dry": ("bool", False),
    }


def test_a_parameter_without_an_annotation_is_of_the_kind_of_its_default():
    assert declared("size = 3\nway = None") == {"size": ("int", 3), "way": ("NoneType", None)}
    assert checked("c", declared("size = 3\nway = None"), {"size": 4, "way": "own"}) == {"size": 4, "way": "own"}
    with pytest.raises(ValueError, match="size is 'x'; it must be int, such as 3"):
        checked("c", declared("size = 3"), {"size": "x"})


def test_every_chapter_declares_what_papermill_finds():
    for path in chapters.paths():
        found = papermill.inspect_notebook(str(path))
        assert {name: of["default"] for name, of in found.items()}.keys() == of_notebook(path).keys()
        defaults = {name: default for name, (_, default) in of_notebook(path).items()}
        assert checked(path.stem, of_notebook(path), defaults) == defaults


def test_every_profile_gives_what_its_chapter_declares():
    for file in sorted(shipped("book", "profiles").glob("*/*.yaml")):
        for seed in range(5):
            given = chapters.profile_parameters(file.stem, file.parent.name, seed)
            assert chapters.check_parameters(chapters.path(file.stem), given) == given


def test_text_is_read_as_what_is_declared():
    given = {"size": "20", "rate": 1, "sizes": "[400]", "name": "3", "dry": "True"}
    assert checked("c", KNOWN, given) == {"size": 20, "rate": 1, "sizes": [400], "name": "3", "dry": True}


def test_a_value_from_a_shell_is_plain_data():
    texts = ["a=1", "b=[1, 2.5]", "c=", "d=2001-01-01", "e={x: true}", "f=a=b", "g=NO"]
    expected = {"a": 1, "b": [1, 2.5], "c": None, "d": "2001-01-01", "e": {"x": True}, "f": "a=b", "g": False}
    assert read_given(texts) == expected


@pytest.mark.parametrize(
    "value",
    ["[1,2", "{a", "!!python/object/apply:os.system [id]", "!!timestamp 2001-01-01", "&a [*a]", "\t-", "[" * 600],
)
def test_what_is_no_plain_data_is_refused_in_a_sentence(value):
    with pytest.raises(ValueError, match="is no value; write a number, a list such as"):
        read_given([f"seed={value}"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_no_number(value):
    with pytest.raises(ValueError, match=r"c: rate is (nan|inf); it must be float, such as 0\.5"):
        checked("c", KNOWN, {"rate": value})


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ValueError, match=r"^c has no parameter 'siez' and 'x'; it has size, rate, sizes, name, dry$"):
        checked("c", KNOWN, {"siez": 1, "x": 2})
    all_three = (
        "c: size is 'three'; it must be int, such as 10; sizes is [1.5]; it must be list[int], such as [1, 2]; "
        "dry is 1; it must be bool, such as False"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(all_three)}$"):
        checked("c", KNOWN, {"size": "three", "rate": 2, "sizes": [1.5], "dry": 1})


def test_what_papermill_sets_is_checked_in_the_kernel():
    cells = ["", "import os", CELL, '# Parameters\nsize = 3\nsizes = "[4]"\n']
    assert injected("c", cells) == {"size": 3, "sizes": [4]}
    assert injected("c", cells[:3]) == {}
    with pytest.raises(ValueError, match="c has no parameter 'siez'"):
        injected("c", [*cells[:3], "# Parameters\nsiez = 3\n"])


def test_papermill_alone_refuses_an_unknown_parameter(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="location has no parameter 'nshadow'"):
        papermill.execute_notebook(
            chapters.path("location"),
            tmp_path / "out.ipynb",
            {"nshadow": 2},
            progress_bar=False,
            cwd=chapters.path("location").parent,
            kernel_name="python3",
        )
