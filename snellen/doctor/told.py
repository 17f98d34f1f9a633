"""A finding in words, line by line: what a terminal, a report and the studio all show.

Nothing here needs torch, so that a recorded run can be shown without it.
"""

from .finding import Finding

SHOWN = 10


def facts_of(finding: Finding) -> list[tuple[str, str]]:
    """The lines of one finding: (what it tells, words), those that have something to tell."""
    settings = ", ".join(f"{key}={value}" for key, value in finding.settings.items())
    lines = [
        ("seen", finding.message),
        ("where", place(finding)),
        ("samples", samples(finding)),
        ("since", f"step {finding.since}" if finding.since else ""),
        ("why", finding.why),
        ("do", finding.do),
        ("set", settings),
    ]
    return [(name, words) for name, words in lines if words]


def place(finding: Finding) -> str:
    """Module, parameter, operation, file and line of a finding in one line.

    >>> place(Finding("a", "error", "", where={"module": "fc1", "file": "net.py", "line": 7}))
    'fc1 (net.py:7)'
    """
    where = finding.where
    name = where.get("parameter") or where.get("module") or ""
    operation = f"in {where['operation']}" if where.get("operation") else ""
    source = f"{where['file']}:{where.get('line', 1)}" if where.get("file") else ""
    said = " ".join(word for word in (str(name), operation) if word)
    return f"{said} ({source})" if said and source else said or source


def samples(finding: Finding) -> str:
    """The samples of a finding, with paths where there are any; the first ten.

    >>> samples(Finding("a", "error", "", samples=(3, 8), samples_of="train"))
    'train 3, 8'
    """
    named = [
        f"{index} ({finding.paths[i]})" if i < len(finding.paths) else str(index)
        for i, index in enumerate(finding.samples[:SHOWN])
    ] or [str(path) for path in finding.paths[:SHOWN]]
    if not named:
        return ""
    more = max(len(finding.samples), len(finding.paths)) - len(named)
    of = "rows of the batch" if finding.samples_of == "batch" else finding.samples_of
    return f"{of} {', '.join(named)}".strip() + (f" and {more} more" if more else "")
