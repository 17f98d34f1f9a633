"""`snellen doctor`: what is wrong with a training, and what to do first."""

import os
from pathlib import Path
from typing import Any

import click

from ..core.errors import DataError, UsageError
from ._output import existing, print_json, writable, write_json_file
from ._verbs import FAIL_ON, HELP, Verb


@click.command(cls=Verb, context_settings={**HELP, "allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="SCRIPT.py [ARGS ...] | RUN")
@click.option("--json", metavar="FILE", help="Write the findings as JSON; - is stdout.")
@click.option("--sarif", metavar="FILE", help="Write the findings for code review.")
@click.option(
    "--preflight", is_flag=True, help="Examine the data and the network before the first step."
)
@click.option("--html", metavar="FILE", help="Write the findings as a page with their pictures.")
@click.option(
    "--fix-trial", is_flag=True, help="Run 50 steps again with the fix; show both loss curves."
)
@FAIL_ON
@click.option("--ignore", metavar="ID", multiple=True, help="Leave out a check; can be repeated.")
@click.option("--explain", metavar="ID", help="Say what a check looks at, and what to do.")
def command(
    words: tuple[str, ...],
    json: str | None,
    sarif: str | None,
    preflight: bool,
    fail_on: str,
    ignore: tuple[str, ...],
    explain: str | None,
    **more: Any,
) -> int:
    """Say what is wrong with a training.

    Runs any PyTorch SCRIPT unchanged, watches it, and says what is wrong and what to do. Options
    stand before SCRIPT; what stands after it goes to the script. A RUN folder is judged again from
    what was recorded.

    Exit code: 130 interrupted; 4 where a loss, gradient or weight became NaN or Inf; 1 for other
    findings as grave as --fail-on; else the script's own, and always with --fail-on never.
    """
    if explain:
        from ..doctor.explain import explain as explanation

        click.echo(explanation(explain))
        return 0
    if ignore:
        from ..doctor.check import must_be_checks

        must_be_checks(ignore)
    json = json if json == "-" else writable(json)
    sarif, page = writable(sarif), writable(more["html"])
    if not words:
        raise UsageError("name a script or a run: snellen doctor train.py, snellen doctor runs/a-1")
    if os.path.isdir(words[0]):
        if words[1:] or preflight or page or more["fix_trial"]:
            raise UsageError(
                f"{words[0]} is a recorded run: it takes no --preflight, --html or --fix-trial and "
                "no words; its page is report.html"
            )
        return _judge_again(words[0], json, sarif, fail_on=fail_on, ignore=ignore)
    _must_be_script(words[0])
    _hint(words)
    from ..doctor.script import run_script
    from ..doctor.trial import fix_trial

    then: list[Any] = [fix_trial] if more["fix_trial"] else []
    if page:
        then.append(lambda outcome: _write_page(page, outcome))
    return run_script(
        words[0],
        list(words[1:]),
        json=json,
        sarif=sarif,
        preflight=preflight,
        fail_on=fail_on,
        ignore=ignore,
        then=then,
    )


def _write_page(path: str, outcome: Any) -> None:
    """The findings of a script as one page that needs nothing else."""
    from ..core.files import write_text
    from ..doctor.pictures import images_of
    from ..report.facts import ReportFacts
    from ..report.page import single

    doc, found = outcome.doc, outcome.findings
    images = images_of(doc, found)
    facts = ReportFacts(findings=found, ignored=doc.ignored, chart=doc.chart, finding_images=images)
    write_text(Path(path), single(os.path.basename(outcome.script), facts))


def _hint(words: tuple[str, ...]) -> None:
    """An option of ours that stands behind the script is the script's; say so, it may be meant."""
    ours = {name for option in command.params for name in option.opts if name.startswith("--")}
    for word in words[1:]:
        if word.partition("=")[0] in ours:
            click.echo(
                f"note: {word} goes to {words[0]}; an option of snellen doctor stands before it",
                err=True,
            )


def _must_be_script(path: str) -> None:
    """A script is the user's word, not data: its absence is exit code 2, as with python itself."""
    try:
        existing(path)
    except DataError as error:
        raise UsageError(f"no script to run: {error}") from None


def _judge_again(
    run: str, json: str | None, sarif: str | None, *, fail_on: str, ignore: tuple[str, ...]
) -> int:
    """The checks of today on the measurements of a recorded run."""
    from ..core.events import read_events
    from ..core.runfolder import find
    from ..doctor.chart import Chart
    from ..doctor.check import judge, silenced
    from ..doctor.report import document, text
    from ..doctor.sarif import sarif as sarif_of
    from ..doctor.script import exit_code

    folder = find(run)
    if not Path(folder.events).is_file():
        raise DataError(f"{run} has no {folder.events.name}: nothing was measured in this run")
    chart = Chart.replay(read_events(folder.events))
    findings, ignored = judge(chart, ignore), silenced(chart, ignore)
    click.echo(text(findings, steps=chart.step, ignored=ignored), err=json == "-")
    if json == "-":
        print_json(document(findings, ignored), indent=2)
    else:
        write_json_file(json, document(findings, ignored))
    write_json_file(sarif, sarif_of(findings, ignored))
    return exit_code(0, findings, fail_on=fail_on)
