"""Compares SSD with torchvision's: raw maps, default boxes, loss, and what is read off.

    python tests/parity/detectors.py

Both have a 32nd of the paper's channels and the same drawn weights, which go through a file under
torchvision's names; all in float64. One JSON line; exits 1 where anything differs. A process of its
own for the reason that check.py tells.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent))
from check import apart, drawn, load_oracles, through_file

SLIM, CLASSES, LEAST, TOLERANCE = 32, 3, 0.6, 1e-6  # default boxes are float32 on both sides


def slim_reference():
    """torchvision's network, built without numbers and cut to fewer channels."""
    from torchvision.models.detection import ssd300_vgg16

    net = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=CLASSES + 1)
    for name, layer in list(net.named_modules()):
        if isinstance(layer, nn.Conv2d):
            cin = layer.in_channels if layer.in_channels == 3 else layer.in_channels // SLIM
            cout = layer.out_channels // (1 if name.startswith("head") else SLIM)
            how = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
            net.set_submodule(name, nn.Conv2d(cin, cout, *how))
    net.backbone.scale_weight = nn.Parameter(net.backbone.scale_weight[: 512 // SLIM].clone())
    return net


def pair(generator):
    import snellen as sn

    theirs = drawn(slim_reference, generator)
    narrow = {
        "widths": tuple(w // SLIM for w in (64, 128, 256, 512, 512)),
        "hidden": 1024 // SLIM,
        "extras": tuple(w // SLIM for w in (512, 256, 256, 256)),
    }
    ours = drawn(lambda: sn.model("tv:ssd300_vgg16", classes=CLASSES, **narrow), generator)
    through_file(theirs, ours, wrapped=False)
    return theirs.double().eval(), ours.double().eval()


def objects(generator):
    """Boxes of three images, the last one without any."""
    found = []
    for count in (5, 3, 0):
        low = torch.rand(count, 2, generator=generator) * 200
        extent = torch.rand(count, 2, generator=generator) * 90 + 40  # small ones tie: all answer
        labels = torch.randint(CLASSES, (count,), generator=generator)
        found.append((torch.cat([low, low + extent], 1), labels))
    return found


def their_loss(theirs, answer, anchors, truth):
    from torchvision.ops import boxes as box_ops

    match = [
        theirs.proposal_matcher(box_ops.box_iou(boxes, default))
        if len(boxes)
        else torch.full((len(default),), -1)
        for (boxes, _), default in zip(truth, anchors, strict=True)
    ]
    targets = [{"boxes": boxes, "labels": labels + 1} for boxes, labels in truth]
    return theirs.compute_loss(targets, answer, anchors, match)


def read_off(theirs, answer, anchors):
    """Their boxes, with a suppression of ours: their compiled one does not load here."""
    from torchvision.models.detection import ssd

    from snellen.nn.nms import non_maximum_suppression

    def suppress(boxes, scores, labels, limit):
        return non_maximum_suppression(boxes, scores, limit, labels_N=labels)

    ssd.box_ops.batched_nms = suppress
    theirs.topk_candidates, theirs.score_thresh = 10**6, LEAST
    return theirs.postprocess_detections(answer, anchors, [(300, 300)] * len(anchors))


def compare(ours, theirs, x, truth):
    from torchvision.models.detection.image_list import ImageList

    from snellen.nn.detector import Truth
    from snellen.nn.nms import non_maximum_suppression
    from snellen.nn.ssd import Ssd

    facts = ours.head.style(CLASSES, {})
    style, raw = Ssd(**{k: v for k, v in facts.items() if k != "name"}), ours(x)
    features = list(theirs.backbone(x).values())
    answer = theirs.head(features)
    anchors = theirs.anchor_generator(ImageList(x, [(300, 300)] * len(x)), features)
    anchors = [a.float() for a in anchors]
    code, logits = style._split([m.double() for m in raw])
    default = style._default([m.shape[-2:] for m in raw], (300, 300))
    found = {
        "code": apart(answer["bbox_regression"], code),
        "logits": apart(answer["cls_logits"], logits),
        "default boxes": apart(anchors[0], default),
    }
    losses = their_loss(theirs, {k: v.float() for k, v in answer.items()}, anchors, truth)
    mine = style.loss(raw, [Truth(*one) for one in truth], (300, 300))
    found["box loss"] = apart(losses["bbox_regression"], mine["box"])
    found["class loss"] = apart(losses["classification"], mine["class"])
    detections = read_off(theirs, {k: v.float() for k, v in answer.items()}, anchors)
    for one, other in zip(style.decode(raw, (300, 300), LEAST), detections, strict=True):
        rows = non_maximum_suppression(one.boxes_N4, one.scores_N, 0.45, labels_N=one.labels_N)[
            :200
        ]
        found["boxes"] = max(found.get("boxes", 0), apart(other["boxes"], one.boxes_N4[rows]))
        found["scores"] = max(found.get("scores", 0), apart(other["scores"], one.scores_N[rows]))
        found["labels"] = float((other["labels"] != one.labels_N[rows] + 1).sum())
    return found


def main():
    torch.set_num_threads(1)
    load_oracles()
    generator = torch.Generator().manual_seed(3)
    theirs, ours = pair(generator)
    x = torch.randn(3, 3, 300, 300, generator=generator, dtype=torch.double)
    with torch.no_grad():
        found = compare(ours, theirs, x, objects(generator))
    equal = max(found.values()) < TOLERANCE
    print(json.dumps({"name": "tv:ssd300_vgg16", "equal": equal, **found}))
    return not equal


if __name__ == "__main__":
    raise SystemExit(main())
