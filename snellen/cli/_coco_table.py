"""COCO's table of twelve lines (ten for key points), as pycocotools prints it, from scores."""

import re
from collections.abc import Iterator, Mapping

BOXES = {  # score: precision or recall, overlap, size, how many an image; MOST is the data's own
    "mAP50-95": ("AP", "0.50:0.95", "all", "MOST"),
    "mAP50": ("AP", "0.50", "all", "MOST"),
    "mAP75": ("AP", "0.75", "all", "MOST"),
    "mAP-small": ("AP", "0.50:0.95", "small", "MOST"),
    "mAP-medium": ("AP", "0.50:0.95", "medium", "MOST"),
    "mAP-large": ("AP", "0.50:0.95", "large", "MOST"),
    "mAR1": ("AR", "0.50:0.95", "all", "1"),
    "mAR10": ("AR", "0.50:0.95", "all", "10"),
    "mARMOST": ("AR", "0.50:0.95", "all", "MOST"),
    "mAR-small": ("AR", "0.50:0.95", "small", "MOST"),
    "mAR-medium": ("AR", "0.50:0.95", "medium", "MOST"),
    "mAR-large": ("AR", "0.50:0.95", "large", "MOST"),
}
POSES = {
    "mAP50-95": ("AP", "0.50:0.95", "all", "MOST"),
    "mAP50": ("AP", "0.50", "all", "MOST"),
    "mAP75": ("AP", "0.75", "all", "MOST"),
    "mAP-medium": ("AP", "0.50:0.95", "medium", "MOST"),
    "mAP-large": ("AP", "0.50:0.95", "large", "MOST"),
    "mARMOST": ("AR", "0.50:0.95", "all", "MOST"),
    "mARMOST-50": ("AR", "0.50", "all", "MOST"),
    "mARMOST-75": ("AR", "0.75", "all", "MOST"),
    "mARMOST-medium": ("AR", "0.50:0.95", "medium", "MOST"),
    "mARMOST-large": ("AR", "0.50:0.95", "large", "MOST"),
}
TITLES = {"AP": "Average Precision  (AP)", "AR": "Average Recall     (AR)"}


def coco_table(scores: Mapping[str, float]) -> Iterator[str]:
    """Scores -> COCO's lines, none where they are no detector's; -1 where a size has no object. A
    last line tells of a number of things an image that is not COCO's own.

    >>> next(coco_table({"mAP50-95": 0.5, "mAR100": 0.6}))
    ' Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.500'
    >>> list(coco_table({"mAP50-95": 0.5, "mAR1": 0.1, "mAR260": 0.6}))[-1]
    "the best 260 of an image are counted, for the data has so many; COCO's own number is 100"
    """
    if "mAP50-95" not in scores:
        return
    counts = [int(name[3:]) for name in scores if re.fullmatch(r"mAR\d+", name)]
    people = any(re.fullmatch(r"mAR\d+-50", name) for name in scores)
    usual = 20 if people else 100
    counted = str(max((usual, *counts)))
    for name, (kind, overlap, size, most) in (POSES if people else BOXES).items():
        value = scores.get(name.replace("MOST", counted), -1.0)
        yield (f" {TITLES[kind]} @[ IoU={overlap:<9} | area={size:>6} | "
               f"maxDets={most.replace('MOST', counted):>3} ] = {value:0.3f}")  # fmt: skip
    if counted != str(usual):
        yield (f"the best {counted} of an image are counted, for the data has so many; COCO's own "
               f"number is {usual}")  # fmt: skip
