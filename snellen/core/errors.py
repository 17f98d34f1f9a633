"""What Snellen raises: one message that says what came, what was wanted and what to do.

The exit codes are the contract's: 1 findings, 2 usage, 3 data, 4 diverged, 130 interrupted.
"""

import difflib
from collections.abc import Iterable

from .words import printable


class SnellenError(Exception):
    """The base of all; `exit_code` is what the command line ends with.

    >>> issubclass(UsageError, SnellenError), SnellenError.exit_code
    (True, 2)
    """

    exit_code = 2

    def __str__(self) -> str:
        return printable(super().__str__(), keep="\n")


class UsageError(SnellenError):
    """A word, a value or a combination that Snellen cannot follow.

    >>> raise UsageError("lr=-1 is not a number above 0")
    Traceback (most recent call last):
    snellen.core.errors.UsageError: lr=-1 is not a number above 0
    """


class DataError(SnellenError):
    """A file, a folder, an array or a checkpoint that cannot be used as it is.

    `lines` are all of what was found where the message has only the first of them.

    >>> DataError("2 of 9 pictures cannot be read", ("a.png", "b.png")).lines
    ('a.png', 'b.png')
    """

    exit_code = 3

    def __init__(self, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.lines = lines


class Diverged(SnellenError):
    """A training whose loss or weights are no longer finite.

    >>> Diverged("the loss is NaN since step 6").exit_code
    4
    """

    exit_code = 4


class Interrupted(SnellenError):
    """The user stopped the training; its checkpoint is saved.

    >>> Interrupted("stopped after epoch 3").exit_code
    130
    """

    exit_code = 130


class DoctorError(SnellenError):
    """Raised by `doc.raise_if(level)`; `findings` holds what was found at that level or above.

    >>> DoctorError("1 finding", ("lr-too-high",)).findings
    ('lr-too-high',)
    """

    exit_code = 1

    def __init__(self, message: str, findings: tuple = ()) -> None:
        super().__init__(message)
        self.findings = findings


class UnknownName(UsageError, LookupError):
    """A name that nothing answers to; says the nearest right ones.

    >>> str(UnknownName("resnet5o", ["resnet50", "vgg16"], "models"))
    "no 'resnet5o' in models; did you mean resnet50?"
    """

    def __init__(self, name: str, known: Iterable[str], where: str, beside: str = "") -> None:
        known = sorted(known)
        near = nearest(str(name), known)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are: {shortlist(known)}"
        super().__init__(f"no {name!r} in {where}; {hint}{beside}")


class LeftOut(RuntimeWarning):
    """A plug-in that could not be loaded, and why; everything else is there.

    >>> issubclass(LeftOut, Warning)
    True
    """


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names closest to `name`, best first; empty where nothing is near.

    >>> nearest("epcohs", ["epochs", "batch", "imgsz"])
    ['epochs']
    """
    folded = {k.lower(): k for k in known}
    return [folded[k] for k in difflib.get_close_matches(name.lower(), folded, count, 0.6)]


def shortlist(names: Iterable[str], count: int = 8) -> str:
    """The first few names in one line, and how many more there are.

    >>> shortlist("abc", 2)
    'a, b and 1 more'
    """
    names = list(names)
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more} more" if more > 0 else "")
