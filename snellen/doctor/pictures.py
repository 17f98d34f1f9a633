"""The images of the samples that findings name, read from the data sets that were dealt from."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.seeds import untouched_rng
from .finding import Finding
from .loader import innermost
from .scan import leaves
from .snapshot import Snapshot

MOST = 6  # of a finding
CHANNELS = (1, 3, 4)


def images_of(doc: Any, findings: Iterable[Finding]) -> dict[str, dict[int, Tensor]]:
    """A doctor and findings -> {id: {row: image_CHW}}; rows that are no images are left out."""
    found: dict[str, dict[int, Tensor]] = {}
    for finding in findings:
        dataset = doc.dataset(finding.samples_of)
        try:
            kept = Snapshot(dataset)
        except Exception:  # nothing could put back what reading changes: no pictures
            continue
        images = {i: image for i in finding.samples[:MOST] if dataset is not None
                  and (image := _read(innermost(dataset), i)) is not None}  # fmt: skip
        kept.put_back()
        if images:
            found[finding.id] = images
    return found


def _read(dataset: Any, i: int) -> Tensor | None:
    try:
        with untouched_rng():
            for field, leaf in leaves(dataset[i]):
                if field == "image" and (image := image_CHW(leaf)) is not None:
                    return image
    except Exception:  # the user's code; a picture is a courtesy
        return None
    return None


def image_CHW(leaf: Any) -> Tensor | None:
    """An item's leaf -> image_CHW where it has the shape of one, else None.

    >>> image_CHW(np.zeros((8, 6, 3))).shape, image_CHW(torch.zeros(5))
    (torch.Size([3, 8, 6]), None)
    """
    if not isinstance(leaf, Tensor | np.ndarray) and hasattr(leaf, "getbands"):  # Pillow's
        leaf = np.array(leaf)
    if not isinstance(leaf, Tensor | np.ndarray):
        return None
    image = torch.as_tensor(leaf).detach()
    if image.dim() == 2 and min(image.shape) > 1:
        return image[None]
    if image.dim() != 3 or image.is_complex():
        return None
    if image.shape[0] in CHANNELS:
        return image
    return image.permute(2, 0, 1) if image.shape[2] in CHANNELS else None
