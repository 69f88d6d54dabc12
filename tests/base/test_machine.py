import pytest

from mialib.base.machine import write_text


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = tmp_path / "numbers.csv"
    write_text(path, "1,2\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half of it\ud800")
    assert path.read_text(encoding="utf-8") == "1,2\n"
    assert list(tmp_path.iterdir()) == [path]
