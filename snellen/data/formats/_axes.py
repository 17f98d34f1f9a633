"""Boxes whose x and y changed places: many reach out of their pictures, and none would the other
way round. Of square pictures, and of coordinates in shares, pixels tell: `data/placing.py`.
"""

from collections.abc import Iterator, Sequence

from ..source import Problem
from ._judge import EXCHANGED

LEAST, SHARE, FIT = 10, 0.1, 0.95  # boxes outside: how many, of all; and which of them would fit


def exchanged(problems: Sequence[Problem], num_kept: int) -> Iterator[Problem]:
    """What is wrong with single boxes, and how many were kept -> what that says of the whole set.

    >>> outside = Problem("box-negative", f"the box reaches out{EXCHANGED}")
    >>> [problem.id for problem in exchanged([outside] * 20, 80)]
    ['box-axes-exchanged']
    """
    outside = [p for p in problems if p.id in ("box-outside", "box-negative")]
    fit = [p for p in outside if EXCHANGED in p.message]
    is_much = len(outside) >= max(LEAST, SHARE * num_kept)
    if is_much and len(fit) >= FIT * len(outside):
        message = (
            f"{len(outside)} boxes reach out of their pictures, and {len(fit)} of them would lie "
            "inside with x and y exchanged: are the axes exchanged?"
        )
        do = "draw some boxes on their pictures; x comes before y, and width before height"
        yield Problem("box-axes-exchanged", message, "suspect", outside[0].file, do=do)
