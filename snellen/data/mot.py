"""Videos in the form of MOTChallenge: img1/000001.png ..., gt/gt.txt, gt/labels.txt, seqinfo.ini.

A line of gt.txt is frame, identity, left, top, width, height, 1, class, visibility; frames,
identities, pixels and classes count from 1. labels.txt names the classes, a line each.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from .worlds import Scene


def write_mot(frames: Sequence[Scene], folder: Path, classes: Sequence[str]) -> Path:
    """Frames of a drawn video -> the folder that was written; raises OSError where it is there.

    >>> import tempfile
    >>> from snellen.data.scenes import SHAPES
    >>> from snellen.data.videos import Motion, draw_video
    >>> with tempfile.TemporaryDirectory() as above:
    ...     folder = write_mot(draw_video(0, 2, None, Motion(frames=2)), Path(above, "a"), SHAPES)
    ...     print((folder / "gt" / "gt.txt").read_text().splitlines()[0])
    1,1,45,39,22,21,1,1,1.000
    """
    for name in ("img1", "gt"):
        (folder / name).mkdir(parents=True)
    for t, scene in enumerate(frames, 1):
        Image.fromarray(scene.pixels_HWC).save(folder / "img1" / f"{t:06}.png")
    lines = [f"{line}\n" for t, scene in enumerate(frames, 1) for line in _lines(t, scene)]
    (folder / "gt" / "gt.txt").write_text("".join(lines), encoding="utf-8")
    names = "".join(f"{name}\n" for name in classes)
    (folder / "gt" / "labels.txt").write_text(names, encoding="utf-8")
    (folder / "seqinfo.ini").write_text(_info(frames, folder.name), encoding="utf-8")
    return folder


def _lines(t: int, scene: Scene) -> Iterator[str]:
    for thing in scene.things:
        x1, y1, x2, y2 = thing.box
        identity = 1 + (thing.identity or 0)
        words = (t, identity, x1 + 1, y1 + 1, x2 - x1, y2 - y1, 1, 1 + thing.label)
        yield f"{','.join(map(str, words))},{thing.shown:.3f}"


def _info(frames: Sequence[Scene], name: str) -> str:
    height, width = frames[0].pixels_HWC.shape[:2] if frames else (0, 0)
    facts = {"name": name, "imDir": "img1", "frameRate": 25, "seqLength": len(frames),
             "imWidth": width, "imHeight": height, "imExt": ".png"}  # fmt: skip
    return "[Sequence]\n" + "".join(f"{key}={value}\n" for key, value in facts.items())
