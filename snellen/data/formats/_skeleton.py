"""What a joint is called in a mirror, told by its name."""

from collections.abc import Sequence

SIDES = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))


def mirror_of(names: Sequence[str]) -> tuple[int, ...]:
    """Names of joints -> which joint each is in a mirror: left_eye is right_eye there.

    >>> mirror_of(["nose", "left_eye", "right_eye"]), mirror_of(["l_ear", "r_ear", "2"])
    ((0, 2, 1), (1, 0, 2))
    """
    place = {name: i for i, name in enumerate(names)}
    return tuple(place.get(_other_side(name), i) for i, name in enumerate(names))


def _other_side(name: str) -> str:
    for left, right in SIDES:
        if left in name:
            return name.replace(left, right)
        if right in name:
            return name.replace(right, left)
    for left, right in (("l", "r"), ("L", "R")):
        for one, other in ((left, right), (right, left)):
            if name.startswith(f"{one}_"):
                return other + name[1:]
            if name.endswith(f"_{one}"):
                return name[:-1] + other
    return name
