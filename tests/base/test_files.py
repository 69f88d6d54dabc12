import errno
import os
import stat
import subprocess
import sys
import time

import pytest

from mialib.base import files
from mialib.base.files import check_writable, sweep, warn_once, working_folder, write_files, write_text


def found(folder):
    """Return all files below a folder, and what is in them."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fail_from(monkeypatch, name, position, error=errno.ENOSPC):
    """Have a function fail at one of its calls; return the list of its calls."""
    function, calls = getattr(os, name), []

    def failing(*given):
        calls.append(given)
        if len(calls) == position:
            raise OSError(error, os.strerror(error))
        return function(*given)

    monkeypatch.setattr(files.os, name, failing)
    return calls


@pytest.mark.parametrize("position", [1, 2, 3])
@pytest.mark.parametrize("name", ["fsync", "replace", "link"])
def test_all_files_are_written_or_none(tmp_path, monkeypatch, name, position):
    old = {tmp_path / "a": "old a", tmp_path / "b": b"old b", tmp_path / "c": "old c"}
    new = {
        tmp_path / "a": "new a",
        tmp_path / "made" / "here": b"new",
        tmp_path / "b": "new b",
        tmp_path / "c": "new c",
    }
    write_files(old)
    before = found(tmp_path)
    calls = fail_from(monkeypatch, name, position)
    if name == "link":  # some file systems have none; then the old file is copied
        write_files(new)
        assert found(tmp_path)[(tmp_path / "made" / "here").relative_to(tmp_path)] == b"new"
        assert len(found(tmp_path)) == 4
    else:
        with pytest.raises(OSError, match=r"made/here and .* could not be written: no space left on device$"):
            write_files(new)
        assert found(tmp_path) == before
        assert not (tmp_path / "made").exists()
    assert len(calls) >= position


def test_text_that_cannot_be_encoded_leaves_what_was(tmp_path):
    path = write_text(tmp_path / "numbers.csv", "1,2\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half of it\ud800")
    assert found(tmp_path) == {path.relative_to(tmp_path): b"1,2\n"}


@pytest.mark.parametrize("kill", ["fsync", "link", "replace"])
@pytest.mark.parametrize("position", [1, 2])
def test_what_a_killed_process_leaves_goes_before_the_next_writes(tmp_path, kill, position):
    paths = [tmp_path / "a", tmp_path / "b"]
    write_files(dict.fromkeys(paths, "old"))
    if not (child := os.fork()):
        calls = []
        setattr(files.os, kill, lambda *_: calls.append(1) or (len(calls) == position and os._exit(9)))
        write_files(dict.fromkeys(paths, "new"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert len(list(tmp_path.iterdir())) > 2
    check_writable(paths[0])
    assert sorted(tmp_path.iterdir()) == paths
    assert {path.read_text() for path in paths} <= {"old", "new"}


def test_only_what_nobody_works_on_is_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    node, token = files._NODE, files._TOKEN
    left = [
        f".mialib-{node}-{ended.pid}-00000000-0.part",
        f".mialib-{node}-{os.getpid()}-00000000-0.part",  # of an earlier process of this number
        f".mialib-{node}-{os.getppid()}-00000000-1.part",
        ".mialib-elsewhere-1-00000000-0.part",
    ]
    live = [
        f".mialib-{node}-{os.getpid()}-{token}-0.part",
        f".mialib-{node}-{os.getppid()}-00000000-0.part",
        ".mialib-elsewhere-1-00000000-1.part",
        ".mialib-mine.part",
        "tmp1.part",
    ]
    for name in left + live:
        (tmp_path / name).mkdir()
        (tmp_path / name / "inside").touch()
    for name in left[2:]:
        os.utime(tmp_path / name, (time.time() - files.LONGEST - 9,) * 2)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(live)


def test_permissions_are_those_of_the_user_or_of_the_old_file(tmp_path):
    before = os.umask(0o027)
    try:
        path = write_text(tmp_path / "a", "new")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o755)
        write_text(path, "newer")
    finally:
        os.umask(before)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("newer", 0o755)


def test_a_link_stays_one_and_a_device_too(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for text in ("one", "another"):
        write_files({tmp_path / "link": text, tmp_path / "pipe": text})
        assert (tmp_path / "there" / "file").read_text() == text
        assert os.read(reading, 10).decode() == text
    os.close(reading)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "pipe").is_fifo()
    assert len(list(tmp_path.rglob("*"))) == 4


def test_what_cannot_be_written_is_said_before(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path, message in (
        (tmp_path, "is a folder; name a file"),
        (tmp_path / "file" / "a.html", f"cannot be written ({tmp_path / 'file'}: not a directory)"),
        (tmp_path / ("a" * 300), "file name too long"),
    ):
        with pytest.raises(OSError, match=r".") as error:
            check_writable(path)
        assert message in str(error.value)
        assert "\n" not in str(error.value)
    check_writable(tmp_path / "deep" / "er" / "a.html", tmp_path / "file")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
    monkeypatch.setattr(files.os, "access", lambda *_: False)  # root may write everything
    with pytest.raises(OSError, match=r"file cannot be written: it is protected; name another file$"):
        check_writable(tmp_path / "file")


def test_a_working_folder_goes_with_its_work(tmp_path):
    with working_folder(tmp_path / "runs") as folder:
        (folder / "inside").write_text("needed")
        with working_folder(tmp_path / "runs") as other:
            assert folder.exists()
            assert other != folder
    assert list((tmp_path / "runs").iterdir()) == []
    (tmp_path / "file").touch()
    with working_folder(tmp_path / "file") as elsewhere:
        assert tmp_path not in elsewhere.parents
        (elsewhere / "inside").touch()
    assert not elsewhere.exists()


def test_a_warning_comes_once(recwarn):
    for _ in range(3):
        warn_once("a test", "this once")
    assert [str(warning.message) for warning in recwarn] == ["this once"]
