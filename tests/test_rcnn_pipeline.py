"""R-CNN from end to end: regions are searched, warped, judged by SVMs, moved, and scored."""

import torch
from torch import nn

from snellen.data.sample import Prediction
from snellen.data.selective_search import search_regions
from snellen.data.source import Source
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.nn.detector import Truth
from snellen.nn.nms import non_maximum_suppression
from snellen.nn.region_features import warp_regions
from snellen.nn.region_judge import fit_judge, match_classes
from snellen.tasks.detect import Detect

FITTED, JUDGED, SIDE = 14, 6, 16
KINDS = tuple("abcdef")


def body():
    """A network at rest, drawn by chance: the SVMs do the learning, as in the paper."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 24, 5, 2, 2), nn.ReLU(), nn.AdaptiveMaxPool2d(4), nn.Flatten()
    return nn.Sequential(*layers).requires_grad_(False)


def looked_at(net, sample, boxes):
    crops = warp_regions(sample.image_CHW[None].float() / 255, boxes[None], SIDE)
    return torch.cat([net(crops - 0.5), (crops - 0.5).flatten(1)], 1)


def fitted(net, samples):
    features, places, overlaps, wanted = [], [], [], []
    for sample in samples:
        truth = Truth(sample.target.boxes_N4, sample.target.labels)
        boxes = torch.cat([search_regions(sample.image_CHW), truth.boxes_N4])
        overlap, near = match_classes(boxes, truth, classes=len(KINDS))
        features.append(looked_at(net, sample, boxes))
        places.append(boxes)
        overlaps.append(overlap)
        wanted.append(near)
    match = torch.cat(overlaps), torch.cat(wanted)
    return fit_judge(torch.cat(features), torch.cat(places), match, classes=len(KINDS))


def test_regions_that_are_searched_warped_and_judged_find_more_than_the_mean_boxes():
    scenes = WorldSet(0, FITTED + JUDGED, World(empty=0.0))
    samples = [scenes[i] for i in range(len(scenes))]
    task = Detect.from_source(Source("scenes", "shapes", scenes, KINDS))
    net, metric = body(), task.metric()
    judge = fitted(net, samples[:FITTED])
    for sample in samples[FITTED:]:
        boxes = search_regions(sample.image_CHW)
        found = judge.find(looked_at(net, sample, boxes), boxes, sample.size, least=0.1)
        rows = non_maximum_suppression(found.boxes_N4, found.scores_N, 0.3, labels_N=found.labels_N)
        said = Prediction(labels=found.labels_N[rows], boxes_N4=found.boxes_N4[rows],
                          scores_N=found.scores_N[rows])  # fmt: skip
        metric.update([said], [sample.target])
    scores = metric.compute()
    assert scores["mAP50-95"] > 10 * task.baseline(scenes)["mAP50-95"]
    assert scores["mAP50"] > 0.15
