"""The user's line is never a library's, wherever the libraries lie."""

import os
import sys
from types import SimpleNamespace

import pytest
import torch

from snellen.doctor import places
from snellen.doctor.places import is_users, users_line


def frame(file):
    return SimpleNamespace(f_code=SimpleNamespace(co_filename=file))


@pytest.mark.parametrize(
    "file",
    [
        torch.nn.modules.module.__file__,
        os.__file__,
        "/home/a/other/venv/lib/python3.12/site-packages/transformers/trainer.py",
        "/usr/lib/python3/dist-packages/numpy/core/numeric.py",
        "<frozen runpy>",
    ],
)
def test_no_library_is_the_users(file):
    assert not is_users(frame(file.replace("/", os.sep)))


@pytest.mark.parametrize("file", ["/home/a/train.py", "torch_train.py", "my/torch/net.py"])
def test_the_users_own_files_are(file):
    assert is_users(frame(file))


def test_torch_outside_of_the_prefix(monkeypatch):
    """A second environment that borrows torch by a .pth file: its paths know nothing of torch."""
    mine = tuple(p for p in places.NOT_THEIRS if p not in places._LIBRARIES)
    monkeypatch.setattr(places, "NOT_THEIRS", mine)
    monkeypatch.setattr(places, "PACKAGES", ())
    assert not is_users(frame(torch.nn.modules.module.__file__))
    assert is_users(frame(os.__file__))


def test_the_line_of_a_test_is_the_users():
    assert users_line() == (__file__, sys._getframe().f_lineno)
