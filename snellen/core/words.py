"""Numbers, times and foreign text as people read them, on a terminal and on a page."""

import math
import re

# What moves the cursor, colours, erases or turns the writing round: C0, C1, line and bidi controls.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def printable(text: str, keep: str = "") -> str:
    r"""Text of which a file's or a class's name may be a part, with control characters spelled out.

    Such a name could else recolour, erase or forge what a terminal shows. Those in `keep` stay.

    >>> print(printable("a\x1b[2Jb\tc\nd", keep="\n"))
    a\x1b[2Jb\tc
    d
    """
    return CONTROLS.sub(
        lambda sign: sign[0] if sign[0] in keep else sign[0].encode("unicode_escape").decode(), text
    )


def number(value: float) -> str:
    """A loss or a score in a width that does not jump.

    >>> number(0.98123), number(41234567.0), number(float("nan")), number(3)
    ('0.9812', '4.12e+07', 'nan', '3.0000')
    """
    plain = value == 0 or 1e-3 <= abs(value) < 1e4
    return f"{value:.4f}" if plain else f"{value:.3g}"


def duration(seconds: float) -> str:
    """How long something took.

    >>> duration(0.031), duration(4.26), duration(75), duration(7384)
    ('0.03 s', '4.3 s', '1 min 15 s', '2 h 03 min')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def clock(seconds: float) -> str:
    """Time left, as on a clock.

    >>> clock(75), clock(7384), clock(float("nan"))
    ('1:15', '2:03:04', '?')
    """
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
