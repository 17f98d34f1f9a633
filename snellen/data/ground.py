"""Names of a class that is no thing: what lies behind the things, or is not known."""

GROUNDS = ("background", "ground", "bg", "void", "unlabeled", "unlabelled", "none", "0")


def is_ground(name: str) -> bool:
    """Whether a class is called as what lies behind the things, however it is written; 0 by custom.

    >>> is_ground("_Background_"), is_ground("underground")
    (True, False)
    """
    return name.casefold().strip("_- ") in GROUNDS
