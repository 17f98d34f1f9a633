"""COCO's table of twelve lines (ten for key points), as pycocotools prints it, from scores."""

from collections.abc import Iterator, Mapping

BOXES = {  # score: precision or recall, overlap, size, how many an image
    "mAP50-95": ("AP", "0.50:0.95", "all", 100),
    "mAP50": ("AP", "0.50", "all", 100),
    "mAP75": ("AP", "0.75", "all", 100),
    "mAP-small": ("AP", "0.50:0.95", "small", 100),
    "mAP-medium": ("AP", "0.50:0.95", "medium", 100),
    "mAP-large": ("AP", "0.50:0.95", "large", 100),
    "mAR1": ("AR", "0.50:0.95", "all", 1),
    "mAR10": ("AR", "0.50:0.95", "all", 10),
    "mAR100": ("AR", "0.50:0.95", "all", 100),
    "mAR-small": ("AR", "0.50:0.95", "small", 100),
    "mAR-medium": ("AR", "0.50:0.95", "medium", 100),
    "mAR-large": ("AR", "0.50:0.95", "large", 100),
}
POSES = {
    "mAP50-95": ("AP", "0.50:0.95", "all", 20),
    "mAP50": ("AP", "0.50", "all", 20),
    "mAP75": ("AP", "0.75", "all", 20),
    "mAP-medium": ("AP", "0.50:0.95", "medium", 20),
    "mAP-large": ("AP", "0.50:0.95", "large", 20),
    "mAR20": ("AR", "0.50:0.95", "all", 20),
    "mAR20-50": ("AR", "0.50", "all", 20),
    "mAR20-75": ("AR", "0.75", "all", 20),
    "mAR20-medium": ("AR", "0.50:0.95", "medium", 20),
    "mAR20-large": ("AR", "0.50:0.95", "large", 20),
}
TITLES = {"AP": "Average Precision  (AP)", "AR": "Average Recall     (AR)"}


def coco_table(scores: Mapping[str, float]) -> Iterator[str]:
    """Scores -> COCO's lines, none where they are no detector's; -1 where a size has no object.

    >>> next(coco_table({"mAP50-95": 0.5, "mAR100": 0.6}))
    ' Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.500'
    """
    if "mAP50-95" not in scores:
        return
    for name, (kind, overlap, size, most) in (POSES if "mAR20" in scores else BOXES).items():
        value = f"{scores.get(name, -1.0):0.3f}"
        yield (f" {TITLES[kind]} @[ IoU={overlap:<9} | area={size:>6} | maxDets={most:>3} ]"
               f" = {value}")  # fmt: skip
