"""What a joint is called in a mirror, told by its name."""

import re
from collections.abc import Sequence

SIDES = tuple(
    re.compile(words)
    for words in (
        "(?i:left|right)",
        "(?<![A-Za-z])[lrLR](?![A-Za-z])",  # l_ear, r-eye, hip.L
        "^[lrLR](?=[A-Z])|(?<=[a-z0-9])[LR]$",  # RShoulder, hipL
        "^[lrLR](?=[a-z]{2})",  # lhip
    )
)
OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}


def mirror_of(names: Sequence[str]) -> tuple[int, ...]:
    """Names of joints -> which joint each is in a mirror: left_eye is right_eye there; () where
    there are three or more and none has a partner, for then the names do not tell.

    >>> mirror_of(["nose", "left_eye", "right_eye"]), mirror_of(["l_ear", "r_ear", "2"])
    ((0, 2, 1), (1, 0, 2))
    >>> mirror_of(["Neck", "RShoulder", "LShoulder", "hip.L", "hip.R", "lknee", "rknee"])
    (0, 2, 1, 4, 3, 6, 5)
    """
    place = {name.lower(): i for i, name in enumerate(names)}
    partner = [_partner(name, i, place) for i, name in enumerate(names)]
    mirror = tuple(other if partner[other] == i else i for i, other in enumerate(partner))
    return mirror if len(mirror) < 3 or mirror != tuple(range(len(mirror))) else ()


def _partner(name: str, i: int, place: dict[str, int]) -> int:
    """The joint whose name has the other side; itself where there is none."""
    others = (side.sub(lambda found: OTHER[found[0].lower()], name).lower() for side in SIDES)
    return next((place[other] for other in others if place.get(other, i) != i), i)
