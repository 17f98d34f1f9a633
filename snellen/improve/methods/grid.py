"""Grid search: every combination of the lists, in the order in which they were typed."""

from ...core.errors import UsageError
from ..draws import combinations
from . import Judge, Method, Wish


def rungs(wish: Wish) -> list[tuple[int, int | None]]:
    """All points; raises UsageError where another number of trials was typed."""
    count = len(combinations(wish.axes))
    if wish.trials not in (None, count):
        raise UsageError(f"the grid has {count} points, and trials={wish.trials} would leave a "
                         "corner out; leave trials= out, or take method=random")  # fmt: skip
    return [(count, None)]


def run(wish: Wish, judge: Judge) -> None:
    """One after the other."""
    for number, settings in enumerate(combinations(wish.axes), 1):
        judge(number, settings, None)


METHODS = {"grid": Method("every combination of the lists; a range as A..B:4", rungs, run)}
