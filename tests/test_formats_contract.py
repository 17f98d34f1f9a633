"""Every format, shipped or dropped in, must keep the same promises."""

from pathlib import Path

import pytest
import torch

from snellen.core import registry
from snellen.core.errors import DataError
from snellen.data.audit import audit
from snellen.data.open import open_data, open_path
from snellen.data.sample import VOID
from snellen.data.source import Format, Source

FORMATS: dict[str, Format] = registry.collect("snellen.data.formats", "FORMATS")


@pytest.fixture(params=sorted(FORMATS))
def example(request, tmp_path) -> tuple[str, Path]:
    return request.param, FORMATS[request.param].example(tmp_path)


def test_example_is_detected_by_its_format_and_no_other(example):
    name, path = example
    assert [other for other, format in FORMATS.items() if format.detect(path)] == [name]


def test_example_opens_as_a_whole_source(example):
    name, path = example
    source = open_path(path)
    assert isinstance(source, Source)
    assert source.format == name
    assert not [p for p in source.problems if p.harm == "harmful"]
    assert len(source.train) > 0
    target, labels = source.train[0].target, source.train.labels()
    if target.text is not None:
        assert target.text
    elif target.semantic_HW is not None:  # a class a pixel
        labels = target.semantic_HW[target.semantic_HW != VOID]
    elif labels is None:  # boxes have a class each, pictures none
        labels = target.labels
        assert target.boxes_N4.shape == (len(labels), 4)
    else:
        assert len(source.classes) >= 2
        assert len(labels) == len(source.train)
    if target.text is None:
        assert len(labels) > 0
        assert set(labels.unique().tolist()) <= set(range(len(source.classes)))


def test_samples_agree_with_labels_and_paths_and_repeat(example):
    source = open_path(example[1])
    labels = source.train.labels()
    for i in (0, len(source.train) - 1):
        sample, again = source.train[i], source.train[i]
        assert sample.index == i
        if labels is not None:
            assert sample.target.label == int(labels[i])
        told = source.train.target(i)
        for name, value in told.given().items() if told else ():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(getattr(sample.target, name))
                               ) if name != "text" else value == sample.target.text  # fmt: skip
        assert sample.path == source.train.path(i)
        assert sample.image_CHW.ndim == 3
        assert (sample.image_CHW == again.image_CHW).all()


def test_example_gets_a_validation_part_and_audits_without_harm(example):
    source = open_data(example[1])
    assert source.val is not None
    assert len(source.val) > 0
    if len(source.train) < 100:  # the tiny written ones; digits and shapes are audited elsewhere
        audit(source)


def test_catalogue_facts_are_there(example):
    format = FORMATS[example[0]]
    assert format.name == example[0]
    assert 10 < len(format.about) < 100


def test_no_format_claims_nothing_or_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path / "empty", tmp_path / "absent", tmp_path / "notes.txt", tmp_path):
        assert [n for n, format in FORMATS.items() if format.detect(path)] == []
        with pytest.raises(DataError):
            open_path(path)


def test_a_format_dropped_in_as_one_file_is_found(tmp_path, monkeypatch):
    (tmp_path / "data" / "formats").mkdir(parents=True)
    (tmp_path / "data" / "formats" / "halves.py").write_text(
        '''"""The word halves: pictures whose left or right half is bright."""
from pathlib import Path
import torch
from ..sets import ArraySet
from ..source import Format, Source

class Halves(Format):
    name = "halves"
    about = "the word halves: bright to the left or to the right"
    def detect(self, path): return str(path) == "halves"
    def open(self, path):
        x = torch.zeros(6, 1, 4, 4, dtype=torch.uint8)
        x[::2, :, :, :2] = 255
        return Source("halves", "halves", ArraySet(x, torch.tensor([0, 1] * 3)), ("left", "right"))
    def example(self, folder): return Path("halves")

FORMATS = {"halves": Halves()}
'''
    )
    monkeypatch.setenv("SNELLEN_PATH", str(tmp_path))
    registry.collect.cache_clear()
    try:
        source = open_data("halves")
        assert (source.format, len(source.train), len(source.val)) == ("halves", 5, 1)
        with pytest.raises(DataError, match="did you mean halves"):
            open_data("halvse")
    finally:
        registry.collect.cache_clear()
