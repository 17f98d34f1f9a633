"""How long a thing may take that is bounded in time: the doctor's searches, examinations and
questions, and what a training reads ahead.

What is left out for lack of time depends on the machine and on what else it does.
SNELLEN_PATIENCE=10 gives ten times as long, in the processes that are started from there too;
Snellen's own tests set it so high that nothing is left out.
"""

import math
import os

from .errors import UsageError


def patience(seconds: float) -> float:
    """Seconds on a usual machine -> seconds here: SNELLEN_PATIENCE times as many.

    Raises UsageError where that is no number above 0.

    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, SNELLEN_PATIENCE="10"):
    ...     patience(0.3)
    3.0
    """
    word = os.environ.get("SNELLEN_PATIENCE") or "1"
    try:
        factor = float(word)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise UsageError(f"SNELLEN_PATIENCE is {word!r}; how many times as long a search may take "
                         "is wanted, a number above 0, such as 10")  # fmt: skip
    return factor * seconds
