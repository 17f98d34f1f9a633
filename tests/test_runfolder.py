"""Folders of runs: each name counted by itself, and a hint where one is missing."""

import pytest

from snellen.core.errors import DataError
from snellen.core.runfolder import create, find


def test_a_run_that_is_named_without_its_number_is_pointed_at(tmp_path):
    for _ in range(10):
        folder = create(tmp_path, "a[1]")
    (tmp_path / "a[1]-last").mkdir()
    assert folder.path.name == "a[1]-10"
    with pytest.raises(DataError, match=r"newest of that name is .*a\[1\]-10$"):
        find(tmp_path / "a[1]")
    with pytest.raises(DataError, match="lists yours"):
        find(tmp_path / "b")
