"""Our networks give what their papers' tables give, written a second time (tests/parity/papers).

Networks are narrow and short where their columns allow it, and pictures small; `make parity`
compares every row as it stands.
"""

import pytest
from parity.check import comparable
from parity.papers import WRITTEN, apart, both

import snellen as sn
from snellen.models import listing, row
from snellen.models._row import options

SAID = {repr((w.function, {**w.given, **w.thin}, w.columns)): n for n, w in WRITTEN.items()}


@pytest.mark.parametrize("name", SAID.values())
def test_network_is_its_papers(name):
    for theirs, ours in both(name):
        assert apart(theirs, ours) < 1e-9


def kind(name):
    """All of a row but its sizes."""
    words = {k: v for k, v in options(row(name)).items() if isinstance(v, str | bool)}
    return repr((type(row(name)), words))


def test_every_kind_of_network_has_a_second_writing():
    """Ours or a library's, and every row that no library has unless it differs in sizes only."""
    written = {kind(name) for name in (*WRITTEN, *comparable())}
    assert [name for name in listing() if kind(name) not in written] == []
    papers = {n.partition(":")[2] for n in sn.models()
              if n.startswith("paper:") and row(n).task == "classify"}  # fmt: skip
    assert papers <= {n.rpartition(":")[2] for n in WRITTEN}


@pytest.mark.parametrize(
    ("name", "mutation"),
    [("darknet19", {"slope": 0.01}), ("paper:resnet50", {"stride_on": "3x3"}),
     ("plain20_cifar", {"shortcut": "pad"}), ("preact_resnet164_cifar", {"stride_on": "3x3"}),
     ("zfnet", {"norm": "before"}), ("alexnet_2gpu", {"norm": "none"}),
     ("squeezenet1_0_bypass", {"bypass": False}), ("inception_v1_nobn", {"response": False})],
)  # fmt: skip
def test_a_changed_network_of_equal_size_is_told_apart(name, mutation):
    assert apart(*both(name, **mutation)[0]) > 1e-6
