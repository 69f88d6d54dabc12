"""The list of faults that `make mutants` plants: that it has not rotted."""

from collections import Counter

from mutants import ROOT, read

AREAS = {"splits", "attack", "metrics", "intervals", "audit", "lira", "synthesis", "mitigations", "claims"}
FAULTS = read()


def test_there_are_faults_of_every_area():
    assert len({fault["id"] for fault in FAULTS}) == len(FAULTS) >= 60
    of_area = Counter(fault["area"] for fault in FAULTS)
    assert set(of_area) == AREAS
    assert min(of_area.values()) >= 5


def test_every_fault_can_be_planted():
    fields = {"area", "id", "file", "old", "new", "tests", "why"}
    counts = {fault["id"]: (ROOT / fault["file"]).read_text(encoding="utf-8").count(fault["old"]) for fault in FAULTS}
    assert [fault["id"] for fault in FAULTS if set(fault) != fields or fault["old"] == fault["new"]] == []
    assert [name for name, n in counts.items() if n != 1] == []


def test_the_tests_of_every_fault_are_there():
    missing = []
    for test in {test for fault in FAULTS for test in fault["tests"]}:
        path, _, name = test.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).is_file() else ""
        expected = f"def {name.partition('[')[0]}(" if name else "def test_"
        missing += [test] * (expected not in text)
    assert missing == []
