"""Fast R-CNN: one loss for class and box, the whole network learns, shared features say what crops
say; and regions, things and pictures that are odd never give a number that is none.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.models import row
from snellen.nn.box_code import encode_boxes
from snellen.nn.detector import Truth
from snellen.nn.fast_rcnn import VARIANCES, FastRcnn, judged_things, region_loss, sample_regions
from snellen.nn.iou import box_iou
from snellen.nn.nms import non_maximum_suppression
from snellen.nn.region_features import pool_regions, warp_regions
from snellen.nn.two_stage import TwoStage

STRIDE, SIZE = 4, (48, 64)
THINGS = torch.tensor([[8.0, 8, 28, 32], [36, 12, 60, 40]])


def body(wide=8):
    """Each cell sees its own 4 x 4 pixels alone, as a crop along cells does."""
    return nn.Sequential(nn.Conv2d(3, wide, STRIDE, STRIDE), nn.ReLU(), nn.Conv2d(wide, wide, 1))


def network(classes=2, seed=0, **more):
    torch.manual_seed(seed)
    return FastRcnn(body(), 8, STRIDE, classes=classes, **more)


def scene(images=2, seed=0):
    random = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.randn(images, 3, *SIZE, generator=random)
    for k, (x1, y1, x2, y2) in enumerate(THINGS.long().tolist()):
        x[:, k, y1:y2, x1:x2] += 2
    return x, [Truth(THINGS, torch.tensor([0, 1]))] * images


def regions_of(images=2, count=24, seed=0):
    random = torch.Generator().manual_seed(seed)
    low = torch.rand(images, count, 2, generator=random) * 30
    near = THINGS + 8 * torch.rand(images, len(THINGS), 4, generator=random) - 4
    far = torch.cat([low, low + 8 + 20 * torch.rand(images, count, 2, generator=random)], 2)
    return torch.cat([near, far], 1)


def test_the_loss_is_cross_entropy_and_smooth_l1_by_hand():
    """A region of the first thing, one of nothing, one without an area."""
    regions = torch.stack([THINGS[0] + 2, torch.tensor([0.0, 0, 6, 6]), torch.zeros(4)])[None]
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 3, generator=random)
    codes = torch.randn(1, 3, 12, generator=random)
    parts = region_loss([regions, logits, codes], [Truth(THINGS[:1], torch.tensor([1]))])
    logs = logits.log_softmax(2)
    assert float(parts["class"]) == pytest.approx(-float(logs[0, 0, 2] + logs[0, 1, 0]) / 2)
    wanted = encode_boxes(THINGS[:1], regions[0, :1], VARIANCES)[0]
    away = (codes[0, 0, 8:12] - wanted).abs()
    bend = 1 / 9
    each = torch.where(away < bend, away**2 / (2 * bend), away - bend / 2)
    assert float(parts["box"]) == pytest.approx(float(each.sum()) / 2, rel=1e-5)


def test_gradients_of_either_part_reach_its_head_and_the_body():
    x, truths = scene()
    for part, own, other in (("class", "logits", "codes"), ("box", "codes", "logits")):
        net = network()
        region_loss(net(x, sample_regions(regions_of(), truths, 16)), truths)[part].backward()
        named = dict(net.named_parameters())
        for name in ("body.0.weight", "body.2.weight", "shared.0.weight", f"{own}.weight"):
            assert named[name].grad.isfinite().all()
            assert named[name].grad.any(), (part, name)
        assert named[f"{other}.weight"].grad is None


def test_classes_boxes_and_body_are_learned_at_once():
    x, truths = scene(4)
    torch.manual_seed(0)
    around = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU()
    )
    net, losses = FastRcnn(around, 16, STRIDE, classes=2, bins=5, hidden=64), []
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    start = net.body[0].weight.detach().clone()
    for step in range(100):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 100)
        drawn = sample_regions(regions_of(4, seed=2 + step), truths, 24)
        loss = sum(region_loss(net(x, drawn), truths).values())
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.3 * losses[0]
    assert (net.body[0].weight - start).abs().max() > 0.01
    with torch.no_grad():
        for one in judged_things(net(x, regions_of(4, seed=1)), SIZE, 0.3):
            best = {int(one.labels_N[r]): one.boxes_N4[r] for r in one.scores_N.argsort().tolist()}
            told = torch.stack([best[0], best[1]])
            assert (box_iou(told, THINGS).diagonal() > 0.6).all()


def test_the_same_weights_and_proposals_say_the_same_of_crops_and_of_shared_features():
    """Exact where a cell sees its own pixels alone and regions end on cells: R-CNN's way (cut out,
    run the network), SPP-net's (one level) and Fast R-CNN's are one function.
    """
    x, _ = scene()
    net = network(bins=2).eval()
    cells = torch.tensor([[[2, 2, 5, 6], [9, 3, 13, 8]], [[0, 0, 3, 3], [6, 4, 15, 11]]])
    regions = cells.float() * STRIDE
    _, logits, codes = net(x, regions)
    for b, p in ((b, p) for b in range(2) for p in range(2)):
        x1, y1, x2, y2 = (cells[b, p] + torch.tensor([0, 0, 1, 1])).mul(STRIDE).tolist()
        crop = x[b : b + 1, :, y1:y2, x1:x2]
        pooled = F.adaptive_max_pool2d(net.body(crop), 2)[:, None]
        alone = net.judge(pooled)
        torch.testing.assert_close(alone[0][0, 0], logits[b, p])
        torch.testing.assert_close(alone[1][0, 0], codes[b, p])
    shared = pool_regions(net.body(x), regions, (2,), stride=STRIDE).unflatten(2, (8, 2, 2))
    torch.testing.assert_close(net.judge(shared)[0], logits)
    box = torch.tensor([[[4.0, 8, 20, 24]]])
    same = warp_regions(x[:1], box, 16)
    torch.testing.assert_close(same, x[:1, :, 8:24, 4:20])
    inside = torch.tensor([[[4.0, 8, 16, 20]]])  # the same cells, the last one's corner counted in
    pooled = F.adaptive_max_pool2d(net.body(same), 2)[:, None]
    torch.testing.assert_close(net.judge(pooled)[0], net(x[:1], inside)[1])


# What proposals and things may be ----------------------------------------------------------------

NAN, FAR = float("nan"), float("inf")
PROPOSALS = {
    "none at all": [],
    "no area": [[5.0, 5, 5, 20], [9, 9, 9, 9], [0, 0, 0, 0]],
    "turned over": [[30.0, 30, 10, 10]],
    "not a number": [[NAN, 4, 20, 20], [NAN, NAN, NAN, NAN]],
    "not finite": [[0.0, 0, FAR, FAR], [-FAR, -FAR, FAR, FAR]],
    "outside": [[500.0, 500, 540, 530], [-90, -80, -50, -60]],
    "a thousandth": [[8.0, 8, 8.001, 8.001]],
    "enormous": [[-1e6, -1e6, 1e6, 1e6]],
    "sound": [[8.0, 8, 28, 32]],
}
TRUTHS = {
    "no things": Truth(torch.zeros(0, 4), torch.zeros(0).long()),
    "one thing": Truth(THINGS[:1], torch.tensor([1])),
    "crowds only": Truth(THINGS, torch.tensor([0, 1]), torch.tensor([True, True])),
    "things without an area": Truth(THINGS * 0, torch.tensor([0, 1])),
    "things that are not numbers": Truth(THINGS * NAN, torch.tensor([0, 1])),
}


@pytest.mark.parametrize("things", TRUTHS)
@pytest.mark.parametrize("name", PROPOSALS)
def test_odd_proposals_never_give_nan(name, things):
    x, truth = scene(1)[0], TRUTHS[things]
    net = network()
    given = torch.tensor(PROPOSALS[name]).reshape(1, -1, 4)
    for regions in (given, sample_regions(given, [truth], 8)):
        judged = net(x, regions)
        loss = sum(region_loss(judged, [truth]).values())
        assert loss.isfinite()
        net.zero_grad()
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
        (found,) = judged_things([v.detach() for v in judged], SIZE, 0.0)
        assert found.boxes_N4.isfinite().all()
        assert found.scores_N.isfinite().all()
    sampled = sample_regions(given, [truth], 8)
    assert not sampled[:, 0].isnan().any()
    warped = warp_regions(x, given, 8)
    pooled = pool_regions(net.body(x), given, (3, 1), stride=STRIDE)
    assert warped.isfinite().all()
    assert pooled.isfinite().all()


@pytest.mark.parametrize("things", TRUTHS)
@pytest.mark.parametrize(
    "name", ["faster_rcnn-small", "mask_rcnn-small", "tv:maskrcnn_resnet50_fpn"]
)
def test_odd_things_never_give_nan_in_networks_of_two_stages(name, things):
    torch.manual_seed(0)
    thin = {k: v for k, v in row(name).thin.items() if k not in ("block", "depths")}
    net = sn.model(name, classes=2, **{**thin, "regions": 8})
    truth = TRUTHS[things]
    masks = torch.zeros(len(truth.labels_N), *SIZE, dtype=torch.bool)
    truth = Truth(truth.boxes_N4, truth.labels_N, truth.ignored_N, masks)
    style = net.head.facts if net.head.branch is None else net.head.branch.style(net.head.facts)
    x = torch.randn(2, 3, *SIZE)
    for told in ([truth] * 2, None):
        parts = style.loss(net(x, told), [truth] * 2, SIZE)
        assert all(part.isfinite() for part in parts.values()), parts
        net.zero_grad()
        sum(parts.values()).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    with torch.no_grad():
        for found in style.decode(net.eval()(x), SIZE, 0.0):
            assert found.boxes_N4.isfinite().all()
            assert found.scores_N.isfinite().all()


def test_two_things_of_one_class_that_touch_are_two():
    """Side by side on a shared edge; one in the other is not one thing either."""
    style = TwoStage(1, ((12.0,), (24.0,)), (4, 8), keep=8)
    beside = torch.tensor([[8.0, 8, 24, 40], [24, 8, 40, 40]])
    within = torch.tensor([[8.0, 8, 40, 40], [16, 16, 28, 28]])
    for boxes in (beside, within):
        (found,) = style.decode(style.oracle([Truth(boxes, torch.tensor([0, 0]))], SIZE), SIZE, 0.5)
        rows = non_maximum_suppression(found.boxes_N4, found.scores_N, 0.5, labels_N=found.labels_N)
        assert len(rows) == 2
        assert (box_iou(boxes, found.boxes_N4[rows]).amax(1) > 0.99).all()
