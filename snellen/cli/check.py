"""`snellen check`: what is wrong with a data set, before a training shows it."""

from collections import defaultdict
from typing import TYPE_CHECKING

import click

from ..core.errors import UsageError
from ..core.words import printable
from ._output import fails, progress, writable, write_json_file
from ._verbs import FAIL_ON, HELP, Verb

if TYPE_CHECKING:
    from ..data.source import Problem
    from ..doctor.finding import Finding

SHOWN = 5  # places of one problem that are shown; --json holds all
LEVELS = {
    "harmful": "error",
    "suspect": "warning",
    "harmless": "advice",
}  # Problem.harm -> Finding.level


@click.command(cls=Verb, context_settings=HELP)
@click.argument("path", required=False)
@click.option("--data", metavar="PATH", help="The same as PATH.")
@click.option("--json", metavar="FILE", help="Write every finding as JSON.")
@FAIL_ON
def command(path: str | None, data: str | None, json: str | None, fail_on: str) -> int:
    """Audit a data set.

    Names each file, line or row that is wrong, whether it harms, and what to do.
    """
    place = path or data
    if place is None or (path and data and path != data):
        raise UsageError("name one data set: snellen check data=PATH")
    json = writable(json)
    from ..data.audit import audit
    from ..doctor.report import document

    with progress("looking at") as tell:
        findings = [finding_of(problem) for problem in audit(place, progress=tell)]
    click.echo(report(findings) or printable(f"{place}: nothing wrong was found"))
    write_json_file(json, document(findings))
    return fails((finding.level for finding in findings), fail_on)


def finding_of(problem: "Problem") -> "Finding":
    """A problem of the data in the form that the doctor's findings have."""
    from ..doctor.finding import Finding

    where = {"file": problem.file, "line": problem.line}
    return Finding(
        problem.id,
        LEVELS[problem.harm],
        problem.message,
        do=problem.do,
        where={key: value for key, value in where.items() if value is not None},
        samples=problem.samples,
        samples_of=problem.part,
        paths=(problem.file,) if problem.file else (),
    )


def report(findings: "list[Finding]") -> str:
    """The findings grouped by id, the harmful first, a few places each."""
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.level, finding.id].append(finding)
    order = ("error", "warning", "advice")
    lines: list[str] = []
    for (level, id), group in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        lines.append(f"{level} {id} ({len(group)})")
        lines += [printable(f"    {_place(finding)}{finding.message}") for finding in group[:SHOWN]]
        lines += [f"    and {len(group) - SHOWN} more"] if len(group) > SHOWN else []
        lines += [printable(f"    do: {do}") for do in dict.fromkeys(f.do for f in group if f.do)]
    return "\n".join(lines)


def _place(finding: "Finding") -> str:
    file, line = finding.where.get("file"), finding.where.get("line")
    if file is None or finding.message.startswith(file):
        return ""
    return f"{file}:{line}: " if line else f"{file}: "
