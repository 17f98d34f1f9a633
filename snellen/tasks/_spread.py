"""Some rows of a part instead of all: what sizes, frequencies and baselines are told by."""


def spread_rows(count: int, most: int) -> range:
    """Rows from all over `count`: every one up to twice `most`, else between `most` and that.

    >>> spread_rows(5, 10), spread_rows(1000, 300)
    (range(0, 5), range(0, 1000, 3))
    """
    return range(0, count, max(1, count // most))
