"""The zoo has every network that its list of expected sizes owes, with those sizes exactly.

The list lies with the data, and not everywhere; that what `describe` tells are the sizes which it
counts itself is tested without it, on the smallest row of every family.
"""

import csv

import pytest
from torch import nn

import snellen as sn
from snellen.core.shapes import shapes_alone
from snellen.models import describe, listing, row


@pytest.fixture(scope="module")
def expected(shared_data):
    path = shared_data.parent / "zoo_expected.csv"
    if not path.is_file():
        pytest.skip("no list of expected sizes")
    with open(path, newline="", encoding="utf-8") as file:
        known = set(sn.models())
        lines = list(csv.DictReader(file))
    missing = {r["architecture"] for r in lines if r["owed"] == "zoo"} - known
    assert not missing
    return [r for r in lines if r["architecture"] in known]


def smallest_of_each_family():
    """Of every kind of row, whatever its task, the one with the fewest multiply-adds."""
    smallest = {}
    for name in listing(None):
        found = row(name)
        best = smallest.setdefault(type(found), name)
        smallest[type(found)] = min(best, name, key=lambda n: row(n).macs)
    return sorted(smallest.values())


@pytest.mark.parametrize("name", smallest_of_each_family())
def test_what_is_told_of_a_row_is_what_is_counted_where_it_is_built(name):
    """A word that changes nothing has the network built and counted, not its claims read."""
    found, told = row(name), describe(name)
    assert describe(name, classes=found.classes) == told
    assert (told["params"], told["macs"]) == (found.params, found.macs)
    assert told["params_without_aux"] == found.params - found.aux_params
    assert told["input"] == list(found.input)


def test_sizes_are_the_expected_ones(expected):
    assert len(expected) >= 95
    for line in expected:
        told = describe(line["architecture"])
        assert told["params"] == int(line["params"]), line["architecture"]
        if line["macs"]:  # torchvision's detectors resize for themselves
            assert told["macs"] == int(line["macs"]), line["architecture"]
            assert "x".join(map(str, told["input"])) == line["input"]
        assert told["family"] == line["family"], line["architecture"]
        if told["top1"] and line["top1"]:
            assert told["top1"] == float(line["top1"]), line["architecture"]
        if line["params_without_aux"]:
            assert told["params_without_aux"] == int(line["params_without_aux"])


def test_tensors_are_as_many_as_the_reference_has(expected):
    for line in expected:
        found = row(line["architecture"])
        with shapes_alone():
            net = found.make()
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        statistics = sum(2 * norm.num_features for norm in norms)
        assert statistics == int(line["bn_stat_floats"]), line["architecture"]
        tensors = len(list(net.parameters()))
        assert tensors == int(line["n_param_tensors"]), line["architecture"]
