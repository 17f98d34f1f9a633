"""Reading COCO's captions: sentences about pictures, several a picture."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.errors import DataError
from ..sets import FileSet
from ..source import Source
from ._coco import brief, by_part, entries, images_of, key_of, media_of
from ._folders import channels_of
from ._json import read_json
from ._judge import Notes
from ._parts import join_parts


def open_captions(path: Path, files: Sequence[Path]) -> Source:
    """The json files of a data set, one a part -> Source."""
    parts = by_part(path, files)
    return join_parts(
        str(path),
        "captions",
        {part: read_captions(file, path, part) for part, file in parts.items()},
    )


def read_captions(file: Path, root: Path, part: str) -> Source:
    """A json -> a source with its pictures as train; `text` has a caption a line."""
    document, notes = read_json(file), Notes(str(file))
    images = images_of(document, notes, media_of(file, root, part))
    texts: dict[Any, list[str]] = defaultdict(list)
    for line, entry in entries(document, "annotations", notes):
        id, caption = key_of(entry.get("image_id")), entry.get("caption")
        if id not in images:
            message = f"a caption of image {entry.get('image_id')!r}, which is not there"
            notes.add("label-orphan", f"{message}; it is left out", line)
        elif not isinstance(caption, str) or not caption.strip():
            notes.add("label-broken-entry", f"no caption: {brief(entry)}; it is left out", line)
        else:
            texts[id].append(" ".join(caption.split()))
    for id, image in images.items():
        if image is not None and not texts[id]:
            notes.add("label-missing", f"{Path(image.path).name} has no caption; it is left out",
                      image.line)  # fmt: skip
    rows = [(image.path, "\n".join(texts[id])) for id, image in images.items()
            if image is not None and texts[id]]  # fmt: skip
    if not rows:
        first = f"; the first problem: {notes.found[0]}" if notes.found else ""
        raise DataError(f"{file} has no picture with a caption{first}")
    paths = [path for path, _ in rows]
    channels = channels_of(paths)
    files = FileSet(paths, None, channels, texts=[text for _, text in rows])
    count = sum(len(each) for each in texts.values())
    facts = {"images": len(rows), "channels": channels, "captions": count}
    return Source(str(file), "captions", files, (), problems=tuple(notes.found), facts=facts)
