"""bench/gpu/speedrun.py on the CPU: its parts against closed forms, and one small race."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from snellen.core.errors import SnellenError
from snellen.data.augment.views import over_views
from snellen.data.decorrelate import principal

sys.path.append(str(Path(__file__).parents[1] / "bench" / "gpu"))  # it runs as a script
import _deal
import _net
import speedrun

TINY = speedrun.Plan(widths=(8, 8, 16), epochs=4, batch=40)


def test_whitening_is_that_of_the_principal_directions():
    """Outputs on the patches: mean 0, uncorrelated, variance v / (v + epsilon)."""
    torch.manual_seed(0)
    x = F.avg_pool2d(torch.randn(50, 3, 12, 12), 3, 1)  # neighbours alike, as in pictures
    net = _net.SpeedNet((8,))
    net.whiten(x)
    with torch.no_grad():
        maps = net.first(x).movedim(1, -1).flatten(0, 2)
    patches = F.unfold(x, _net.PATCH).movedim(1, -1).flatten(0, 1)
    found = principal(patches)
    ours, mirrored = maps[:, :12].flip(1), maps[:, 12:].flip(1)  # principal's order falls
    torch.testing.assert_close(mirrored, -ours, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.mean(0), torch.zeros(12), atol=1e-3, rtol=0)
    variances = found.variances_K.float()
    wanted = torch.diag(variances / (variances + _net.EPSILON))
    torch.testing.assert_close(ours.T.cov(), wanted, atol=2e-3, rtol=0)
    theirs = found.whiten(patches, epsilon=_net.EPSILON)
    signs = (ours * theirs).sum(0).sign()
    torch.testing.assert_close(ours * signs, theirs, atol=2e-2, rtol=0)
    assert not net.first.weight.requires_grad


def test_two_epochs_show_each_picture_both_ways_and_shift_it_by_two_pixels_at_most():
    """A channel tells who it is; another rises to the right; two tell where a pixel came from."""
    count, side = 400, 9
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    who = torch.arange(count).view(-1, 1, 1).expand(-1, side, side)
    x = torch.stack([who, row.expand_as(who), column.expand_as(who)], 1).half()
    deal = _deal.Deal(x, torch.arange(count), 100, seed=0)
    for first in (0, 2):
        seen: list[dict[int, bool]] = [{}, {}]
        for epoch in (0, 1):
            for pictures, label_B in deal.epoch(first + epoch):
                assert pictures.is_contiguous(memory_format=torch.channels_last)
                assert torch.equal(pictures[:, 0, 0, 0].long(), label_B)
                mirrored = pictures[:, 2, 4, 3] > pictures[:, 2, 4, 5]
                seen[epoch] |= dict(zip(label_B.tolist(), mirrored.tolist(), strict=True))
                for axis in (1, 2):
                    moved = (pictures[:, axis, 4, 4] - 4).unique().tolist()
                    assert moved == [-2, -1, 0, 1, 2]
        assert [len(epoch) for epoch in seen] == [count, count]
        assert all(seen[0][i] != seen[1][i] for i in range(count))
        assert 0.4 < sum(seen[0].values()) / count < 0.6


def test_filters_are_a_convolution_whose_first_rows_hand_maps_on():
    layer = _net.Filters(4, 6)
    layer.reset()
    filters = layer.as_filters()
    assert filters.is_contiguous(memory_format=torch.channels_last)
    assert filters.data_ptr() == layer.weight_OF.data_ptr()
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(layer(x)[:, :4], x)
    torch.testing.assert_close(layer(x), F.conv2d(x, filters.contiguous(), padding=1))


def test_six_views_are_three_places_and_their_mirror_images():
    x = torch.randn(2, 1, 6, 6)
    views = _deal.six_views(x)
    assert views.shape == (2, 6, 1, 6, 6)
    torch.testing.assert_close(views[:, 0], x)
    torch.testing.assert_close(views[:, 1, :, 1:, 1:], x[..., :-1, :-1])  # moved down and right
    torch.testing.assert_close(views[:, 2, :, :-1, :-1], x[..., 1:, 1:])
    torch.testing.assert_close(views[:, 3:], views[:, :3].flip(-1))
    shares = over_views(lambda x: x.mean((2, 3)).expand(-1, 3), views)
    torch.testing.assert_close(shares, torch.full((2, 3), 1 / 3))


@pytest.mark.parametrize("has_bf16", [True, False])
def test_it_learns_without_a_gpu_and_writes_down_what_it_measured(
    has_bf16, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(speedrun, "has_fast_bf16", lambda: has_bf16)
    monkeypatch.setattr(speedrun, "SMALL", TINY)
    monkeypatch.setattr(speedrun, "load", lambda path, compute: LOAD(path, compute, count=400))
    monkeypatch.setattr(sys, "argv", ["speedrun.py", "--runs", "1", "--peer", str(table(tmp_path))])
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.path.insert(0, str(Path(speedrun.__file__).parents[1]))
    import _timing

    monkeypatch.setattr(_timing, "RESULTS", tmp_path)
    speedrun.main()
    found = json.loads((tmp_path / "speedrun_cpu.json").read_text())
    assert found["device"] == ("cpu, bfloat16" if has_bf16 else "cpu, float32")
    assert found["scores"][0] > 0.3  # of ten classes in equal parts: always one is 0.1
    assert found["peer_seconds"] == [2.5]
    assert found["goals"][1]["measured"] == found["seconds"][0] / 2.5
    assert "not counted" in capsys.readouterr().out


LOAD = speedrun.load


def table(folder: Path, rows: int = 3) -> Path:
    """A script that prints what airbench prints."""
    head = ["|  run     |  epoch  |  val_acc  |  tta_val_acc  |  time_seconds  |",
            "|       0  |      7  |   0.9000  |               |        2.1000  |"]  # fmt: skip
    lines = [*head, *["|          |   eval  |   0.9100  |       0.9410  |        2.5000  |"] * rows]
    script = folder / "airbench.py"
    script.write_text(f"print({chr(10).join(lines)!r})\n")
    return script


def test_a_peer_that_breaks_off_is_said(tmp_path):
    assert speedrun.peer(table(tmp_path), 2) == ([0.941, 0.941], [2.5, 2.5])
    with pytest.raises(SnellenError, match=r"ended after 1 of 3 runs"):
        speedrun.peer(table(tmp_path, rows=1), 2)


def test_on_a_gpu_it_computes_in_bfloat16_channels_last(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    compute = speedrun.here()
    assert (compute.device.type, compute.amp, compute.channels_last) == (
        "cuda", torch.bfloat16, True)  # fmt: skip
