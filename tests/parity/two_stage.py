"""Compares the networks of two stages with torchvision's: raw answers, regions, loss, boxes.

    python tests/parity/two_stage.py

In double precision, to 1e-11. Both have a 16th of the paper's channels and the same drawn weights,
which go through a file under torchvision's names. Its norms are at rest and have no eps, as where
it builds a network for its weights of COCO; small variances show it. torchvision's RoIAlign is its
own in Python, mended at the border; suppression is ours on both sides, as its compiled one does not
load. One JSON line a network and size; exits 1 where anything differs. A process of its own for the
reason that check.py tells.
"""

import importlib
import json
import sys
from pathlib import Path

import torch
import torch._dynamo
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent))
from check import apart, drawn, load_oracles, through_file

SLIM, CLASSES, LEAST, TOLERANCE = 16, 3, 0.05, 1e-11
SIZES = (128, 192), (160, 224)  # the coarsest map of the second is no whole number of 64 pixels
NARROW = {
    "base": 64 // SLIM,
    "width": 256 // SLIM,
    "hidden": 1024 // SLIM,
    "before": 60,
    "keep": 40,
}
LAST, CALM = ("cls_logits", "bbox_pred", "cls_score", "mask_fcn_logits", "kps_score_lowres"), 4e-4
TINY = 1e-4  # of variances
PARTS = ("roi_pool", "head", "predictor")
NAMES = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")


def slim(layer, name):
    """The same layer with a 16th of its channels; what is as wide as there are answers stays."""
    last = name.endswith(LAST)
    if isinstance(layer, nn.BatchNorm2d):
        from torchvision.ops import FrozenBatchNorm2d

        return FrozenBatchNorm2d(layer.num_features // SLIM, eps=0.0)
    if isinstance(layer, nn.Linear):
        wide = layer.out_features // (1 if last else SLIM)
        return nn.Linear(layer.in_features // SLIM, wide)
    cin = layer.in_channels if layer.in_channels == 3 else layer.in_channels // SLIM
    cout = layer.out_channels // (1 if last else SLIM)
    how = (layer.kernel_size, layer.stride, layer.padding)
    return type(layer)(cin, cout, *how, bias=layer.bias is not None)


def things(name):
    """How many classes of things there are: people have joints."""
    return 1 if name.startswith("keypoint") else CLASSES


def slim_reference(name):
    """torchvision's network, built without numbers and cut to fewer channels."""
    import torchvision

    build = getattr(torchvision.models.detection, name)
    net = build(weights=None, weights_backbone=None, num_classes=things(name) + 1)
    for part, layer in list(net.named_modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm2d):
            net.set_submodule(part, slim(layer, part))
    return net


def pair(name, generator):
    import snellen as sn

    wide = {"mask": ("masks", 256, 4), "keypoint": ("people", 512, 8)}
    more = {}
    for kind, (column, width, depth) in wide.items():
        more |= {column: (width // SLIM,) * depth} if name.startswith(kind) else {}
    classes = 17 if name.startswith("keypoint") else CLASSES
    theirs = drawn(lambda: slim_reference(name), generator).double()
    for part, layer in theirs.named_modules():
        if part.endswith(LAST):  # or every box is far outside the picture
            layer.weight *= CALM
        if hasattr(layer, "running_var"):
            layer.running_var *= TINY
            layer.weight *= TINY**0.5
    ours = drawn(
        lambda: sn.model(f"tv:{name}", classes=classes, eps=0.0, **NARROW, **more), generator
    ).double()
    through_file(theirs, ours, wrapped=False)
    theirs.rpn._pre_nms_top_n = dict.fromkeys(("training", "testing"), NARROW["before"])
    theirs.rpn._post_nms_top_n = dict.fromkeys(("training", "testing"), NARROW["keep"])
    return theirs.eval(), ours.eval()


def our_suppression():
    """Puts our suppression where torchvision calls its compiled one."""
    from torchvision.ops import boxes

    from snellen.nn.nms import non_maximum_suppression

    def suppress(boxes_N4, scores_N, labels_N, limit):
        return non_maximum_suppression(boxes_N4, scores_N, limit, labels_N=labels_N)

    boxes.batched_nms = suppress


def mended_border():
    """Beyond the border torchvision's kernels read 0, and half a cell of it the last cell; its
    RoIAlign in Python goes on along the slope.
    """
    module = importlib.import_module("torchvision.ops.roi_align")
    inner = module._bilinear_interpolate

    def interpolate(maps, image, y, x, ymask, xmask):
        high, wide = maps.shape[2:]
        down, across = ((v >= -1) & (v <= n) for v, n in ((y, high), (x, wide)))
        inside = down[:, None, :, None, :, None] & across[:, None, None, :, None, :]
        y, x = y.clamp(0, high - 1), x.clamp(0, wide - 1)
        return inner(maps, image, y, x, ymask, xmask) * inside

    module._bilinear_interpolate = interpolate


def objects(regions_P4, classes, generator):
    """Things near some regions of an image, and an image without any.

    They lie apart: an anchor that two things want goes to the one that overlaps it most here, in
    torchvision also to a third.
    """
    from snellen.nn.nms import non_maximum_suppression

    regions_P4 = regions_P4[(regions_P4[:, 2:] - regions_P4[:, :2] > 8).all(1)]
    boxes = regions_P4 + 4 * torch.rand(len(regions_P4), 4, generator=generator)
    boxes = boxes[non_maximum_suppression(boxes, torch.ones(len(boxes)), 0.0)]
    labels = torch.randint(classes, (len(boxes),), generator=generator)
    return [(boxes, labels), (torch.zeros(0, 4), labels[:0])]


def first_stage(theirs, maps, x, truth):
    """Their raw maps (B, 5A, H, W), regions, and losses when all anchors are learned from."""
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.detection.rpn import concat_box_prediction_layers

    rpn, images = theirs.rpn, ImageList(x, [tuple(x.shape[2:])] * len(x))
    score, code = rpn.head(list(maps.values()))
    regions, _ = rpn(images, maps)
    rpn.fg_bg_sampler = lambda labels: ([one == 1 for one in labels], [one == 0 for one in labels])
    targets = [{"boxes": boxes, "labels": labels + 1} for boxes, labels in truth]
    anchors = rpn.anchor_generator(images, list(maps.values()))
    labels, boxes = rpn.assign_targets_to_anchors(anchors, targets)
    labels = [one.double() for one in labels]  # theirs are single, and the loss with them
    flat = concat_box_prediction_layers(list(score), list(code))
    wanted = rpn.box_coder.encode(boxes, anchors)
    losses = rpn.compute_loss(*flat, labels, wanted)
    return [torch.cat(one, 1) for one in zip(score, code, strict=True)], regions, losses


def second_stage(theirs, maps, regions, truth, *, size):
    """Their logits and codes of regions, losses when all are learned from, and the boxes."""
    from torchvision.models.detection.roi_heads import fastrcnn_loss

    heads, sizes = theirs.roi_heads, [size] * len(regions)
    logits, codes = heads.box_predictor(heads.box_head(heads.box_roi_pool(maps, regions, sizes)))
    boxes, labels = ([one[k] for one in truth] for k in (0, 1))
    match, classes = heads.assign_targets_to_proposals(regions, boxes, [one + 1 for one in labels])
    true = [(b if len(b) else torch.zeros(1, 4))[m] for b, m in zip(boxes, match, strict=True)]
    losses = fastrcnn_loss(logits, codes, classes, heads.box_coder.encode(true, regions))
    heads.score_thresh, heads.detections_per_img = LEAST, 10**6
    return logits, codes, losses, heads.postprocess_detections(logits, codes, regions, sizes)


def more_asked(theirs, maps, asked, said, *, size):
    """How far our logits of masks or joints are from theirs in the same boxes."""
    heads, rows = theirs.roi_heads, [one[:, 2] > one[:, 0] for one in asked]
    kind = "mask" if heads.has_mask() else "keypoint"
    boxes = [one[r, :4] for one, r in zip(asked, rows, strict=True)]
    pool, head, last = (getattr(heads, f"{kind}_{part}") for part in PARTS)
    logits = last(head(pool(maps, boxes, [size] * len(boxes))))
    if kind == "mask":
        label = torch.cat([one[r, 5] for one, r in zip(asked, rows, strict=True)]).long()
        logits = logits[range(len(label)), 1 + label]
    ours = torch.cat([one[r] for one, r in zip(said, rows, strict=True)])
    return {kind: apart(logits, ours)}


def compare(ours, theirs, x, generator):
    from dataclasses import replace

    from snellen.nn.detector import Truth
    from snellen.nn.nms import non_maximum_suppression

    style, size = replace(ours.head.facts, anchors=10**6), tuple(x.shape[2:])
    maps, raw = theirs.backbone(x), ours(x)
    found = more_asked(theirs, maps, *raw[-2:], size=size) if ours.head.branch else {}
    raw = raw[:-2] if ours.head.branch else raw
    mine, own, logits, codes = style.split(raw)
    truth = objects(own[0], style.classes, generator)
    first, regions, losses = first_stage(theirs, maps, x, truth)
    found |= {f"map {k}": apart(a, b) for k, (a, b) in enumerate(zip(first, mine, strict=True))}
    rows = [torch.arange(len(one)) for one in regions]
    found["regions"] = max(apart(a, b[r]) for a, b, r in zip(regions, own, rows, strict=True))
    theirs_logits, theirs_codes, more, read = second_stage(theirs, maps, regions, truth, size=size)
    for name, one, two in (("logits", theirs_logits, logits), ("codes", theirs_codes, codes)):
        found[name] = apart(one, torch.cat([b[r] for b, r in zip(two, rows, strict=True)]))
    parts = style.loss(raw, [Truth(*one) for one in truth], size)
    names = ("objectness", "proposal", "class", "box")
    found |= {name: apart(a, parts[name]) for a, name in zip([*losses, *more], names, strict=True)}
    for one, boxes, scores, labels in zip(style.decode(raw, size, LEAST), *read, strict=True):
        kept = non_maximum_suppression(one.boxes_N4, one.scores_N, 0.5, labels_N=one.labels_N)
        found["boxes"] = max(found.get("boxes", 0), apart(boxes, one.boxes_N4[kept]))
        found["scores"] = max(found.get("scores", 0), apart(scores, one.scores_N[kept]))
        found["labels"] = float((labels != one.labels_N[kept] + 1).sum())
    return found


def main():
    torch.set_num_threads(1)
    torch._dynamo.config.disable = True  # torchvision would compile its RoIAlign for a minute
    load_oracles()
    our_suppression()
    mended_border()
    wrong = False
    for name in NAMES:
        generator = torch.Generator().manual_seed(3)
        theirs, ours = pair(name, generator)
        for size in SIZES:
            x = torch.randn(2, 3, *size, generator=generator, dtype=torch.double)
            with torch.no_grad():
                found = compare(ours, theirs, x, generator)
            equal = max(found.values()) < TOLERANCE
            print(json.dumps({"name": f"tv:{name}", "size": size, "equal": equal, **found}))
            wrong |= not equal
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
