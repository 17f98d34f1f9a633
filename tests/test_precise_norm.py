"""Population statistics: those of the whole set, whatever the batches; nothing else moves."""

import copy
import json

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.byhand.batch_norm import population_statistics
from snellen.core.errors import UsageError
from snellen.nn.precise_norm import recompute_statistics


def test_statistics_are_those_of_the_whole_set():
    torch.manual_seed(0)
    x = torch.randn(101, 3, 5, 4, dtype=torch.float64) * 3 + 2
    norm = nn.BatchNorm2d(3, dtype=torch.float64)
    assert recompute_statistics(norm, x.split(16)) == 1
    flat = x.movedim(1, 0).flatten(1)
    torch.testing.assert_close(norm.running_mean, flat.mean(1), atol=1e-12, rtol=0)
    torch.testing.assert_close(norm.running_var, flat.var(1, unbiased=True), atol=1e-11, rtol=0)


def test_the_notes_average_of_variances_lacks_what_lies_between_the_batches():
    torch.manual_seed(0)
    batches = [torch.randn(16, 3, dtype=torch.float64) + shift for shift in (-2.0, 0.0, 1.0, 3.0)]
    norm = nn.BatchNorm1d(3, dtype=torch.float64)
    recompute_statistics(norm, batches)
    mean, within = population_statistics([x.numpy() for x in batches])
    torch.testing.assert_close(norm.running_mean, torch.from_numpy(mean))
    between = torch.stack([x.mean(0) for x in batches]).var(0, unbiased=False)
    count = 64  # sums of squares: 4 * 15 within, 64 between
    pooled = (60 * torch.from_numpy(within) + count * between) / (count - 1)
    torch.testing.assert_close(norm.running_var, pooled)
    assert (norm.running_var > 2 * torch.from_numpy(within)).all()


def test_one_whole_batch_gives_eval_the_outputs_of_training():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3),
                        nn.BatchNorm2d(2)).double()  # fmt: skip
    x = torch.randn(64, 1, 9, 9, dtype=torch.float64)
    wanted = copy.deepcopy(net)(x)
    recompute_statistics(net, [x])
    # eval divides by the unbiased deviation, training by the biased one: n / (n - 1) apart
    torch.testing.assert_close(net.eval()(x), wanted, atol=1e-3, rtol=1e-3)


def test_weights_modes_frozen_norms_and_counters_stay():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.BatchNorm1d(3, momentum=0.3))
    net[0].eval()
    before = copy.deepcopy(net.state_dict())
    assert recompute_statistics(net, [torch.randn(8, 3) + 5]) == 1
    assert [m.training for m in net] == [False, True, True]
    assert net[2].momentum == 0.3
    after = net.state_dict()
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert moved == {"2.running_mean", "2.running_var"}


def test_a_network_in_evaluation_mode_is_refused_and_not_passed_over():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
    with pytest.raises(UsageError, match=r"evaluation mode.*net\.train\(\)"):
        recompute_statistics(net, [torch.zeros(4, 2)])


class Doubled(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return 2 * self.norm(x)


def test_a_compiled_network_keeps_its_graphs_and_gets_no_others():
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    net, x = Doubled(), torch.randn(8, 3)
    net.compile(backend=backend)
    for _ in range(2):
        net(x)
        made = len(graphs)
        assert recompute_statistics(net, x.split(3)) == 1
        torch.testing.assert_close(net.norm.running_mean, x.mean(0))
    assert made == len(graphs) > 0


def test_a_network_without_batch_norm_is_left_alone():
    assert recompute_statistics(nn.Linear(2, 2), [torch.zeros(1, 2)]) == 0


@pytest.mark.parametrize("settles", [True, False])
def test_the_doctor_knows_whether_a_training_settles_its_norms_and_augments(settles, tmp_path):
    x, y = torch.randint(256, (40, 3, 16, 16), dtype=torch.uint8), torch.arange(40) % 4
    run = sn.train((x, y), model="resnet8_w32", epochs=1, precise_norm=settles, project=tmp_path,
                   quiet=True, preflight="off", augment="crop" if settles else "off")  # fmt: skip
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    told = [e["values"] for e in events if e["kind"] == "facts"]
    assert [facts["settles_norms"] for facts in told if "settles_norms" in facts] == [settles]
    assert [facts["augments"] for facts in told if "augments" in facts] == [settles]
