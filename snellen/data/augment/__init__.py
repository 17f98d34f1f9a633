"""Augmentation in batches, on the batch's device: one idea a file, joined by `compose`.

An augmentation keeps type and range of x (uint8 stays uint8), draws from the generator it is
given and from nothing else, and moves boxes, masks and keypoints with the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._base import Chain


def compose(words: str | None) -> Chain:
    """'affine+flip' -> one augmentation that does both, in this order; off and none do nothing.

    Raises UnknownName with the nearest right word, UsageError where one is missing, off is joined
    to others, or they are no text.

    >>> compose("flip+crop").name
    'flip+crop'
    """
    from ...core import registry
    from ...core.errors import UsageError
    from ._base import Chain

    if not isinstance(words, str | None):
        raise UsageError(f"augment={words!r}; words are wanted, as 'flip+affine', or 'off'")
    names = [word.strip() for word in (words or "off").split("+")]
    if len(names) > 1 and {"", "off", "none"} & set(names):
        raise UsageError(
            f"augment={words} joins augmentations with nothing; write augment=flip+affine, or off"
        )
    names = [word for word in names if word not in ("off", "none")]
    steps = [registry.get("snellen.data.augment", "AUGMENTS", name) for name in names]
    return Chain(steps)
