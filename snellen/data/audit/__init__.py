"""What is wrong with a data set, found before training: `audit` in full, `screen` in a moment.

One kind of fault a file; each declares AUDITS, name -> a function from albums (what one pass over
the pictures measured) to problems.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.parts import Part

if TYPE_CHECKING:
    from ..source import Problem, SampleSet

Progress = Callable[[int, int], None]  # done, of how many

PARTS = {
    "Dirty data": Part(
        "Preprocessing",
        "sn.data.audit.audit",
        "`snellen check`: odd sizes, rare classes, blanks in labels, copies, broken files ...",
        "000",
    ),
}


def audit(data: Any, *, progress: Progress | None = None) -> list[Problem]:
    """Whatever `open_data` takes, or a Source -> every problem, the gravest kinds first.

    Reads each picture once. `harm` is 'harmful', 'suspect' (look at it) or 'harmless' (read right).

    >>> import numpy as np
    >>> x = np.random.RandomState(0).randint(0, 256, (20, 8, 8)).astype(np.uint8)
    >>> x[3] = 7
    >>> [(p.id, p.samples) for p in audit((x, np.arange(20) % 2))]
    [('data-constant-sample', (3,))]
    """
    from ._run import audit_source

    return audit_source(data, progress)


def screen(part: SampleSet, progress: Progress | None = None) -> tuple[list[int], list[Problem]]:
    """Part -> (rows that training must leave out, why): damaged files, labels of no class.

    Looks at the first and last bytes of each file and decodes the suspicious ones only.
    """
    from ._files import screen_part

    return screen_part(part, progress)
