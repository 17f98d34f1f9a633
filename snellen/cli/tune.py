"""`snellen tune`: searches settings by trainings, and says the best as a command."""

from typing import TYPE_CHECKING, Any

import click

from ..core.errors import UsageError
from ..core.words import printable
from ._output import print_json, print_table
from ._verbs import HELP, KEY

if TYPE_CHECKING:
    from ..improve.tune import Search

SHOWN = 20  # trials in the table; trials.csv has all
OWN = ("trials", "method", "folds")
EXAMPLES = """
A value tells what is searched:
  lr=1e-4..1e-1          a range; by factors where its ends are ten times apart or more
  lr=1e-4..1e-1:4        four points of it, as a list
  optim=sgd,adamw        a list
  epochs=5               stays as it is

Words of its own:
  trials=N               how many settings are tried (20; method=grid: all)
  method=NAME            random, grid, halving (many for few epochs, the best for epochs=), optuna
  folds=K                score each by cross-validation: K trainings, a K-th held out in turn
  --json                 what was found, for programs

Examples:
  snellen tune digits lr=1e-4..1e-1 optim=sgd,adamw epochs=3 trials=12
  snellen tune pets/ model=resnet18 lr=1e-4..1e-1 batch=16,32,64 method=halving trials=27 epochs=27
  snellen tune pets/ lr=1e-4..1e-1:4 method=grid folds=5
"""


def _help(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(ctx.get_help() + "\n" + EXAMPLES.rstrip())
        ctx.exit()


@click.command(
    context_settings={**HELP, "ignore_unknown_options": True, "help_option_names": []},
    options_metavar="",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[DATA] [SETTING=VALUE ...]")
@click.option("--json", "as_json", is_flag=True, hidden=True)
@click.option(
    "-h", "--help", is_flag=True, is_eager=True, expose_value=False, hidden=True, callback=_help
)
def command(words: tuple[str, ...], as_json: bool) -> None:
    """Search the settings that train best.

    DATA and settings are those of `snellen train`; of ranges and lists the best value is searched.
    Each trial is a run in the folder of the search, which lists them in search.json and trials.csv.
    Trials that diverge count as the worst. Ctrl-C keeps what was done, and the same command goes on
    with it. The last line trains the best again.
    """
    own, rest = _own_words(words)
    from ._settings import pairs

    said: dict[str, Any] = {}
    for word, value in pairs(rest):
        name = "data" if word is None else word.replace("-", "_")
        if name in said and said[name] != value:
            raise UsageError(f"{name} is typed twice, {said[name]} and {value}; keep one of them")
        said[name] = value
    if "resume" in said:
        raise UsageError("resume= goes on with a run; the same `snellen tune` command goes on with "
                         "a search")  # fmt: skip
    from ..improve.tune import tune

    found = tune(**own, **said, say=_say)
    show(found) if not as_json else print_json(_facts(found), 1)


def _own_words(words: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """The words of a search apart from those of its trainings."""
    own: dict[str, Any] = {}
    rest, line = list[str](), iter(words)
    for word in line:
        match = KEY.fullmatch(word.removeprefix("--"))
        name, value = (match[1], match[2]) if match else (word.removeprefix("--"), None)
        if name not in OWN or not (match or word.startswith("--")):
            rest.append(word)
            continue
        value = next(line, "") if value is None else value
        if name != "method" and not value.isdecimal():
            raise UsageError(f"{name}={value!r} is not a whole number")
        own[name] = value if name == "method" else int(value)
    return own, rest


def show(found: "Search") -> None:
    """The table of trials, the best first; what to do next; the command."""
    rows = [trial.row() for trial in found.trials[:SHOWN]]
    left_out = {"runs", *(k for k in ("spread",) if all(row[k] is None for row in rows))}
    heads = [name for name in rows[0] if name not in left_out]
    print_table([found.score if h == "score" else h for h in heads],
                [[row[head] for head in heads] for row in rows])  # fmt: skip
    if (more := len(found.trials) - SHOWN) > 0:
        click.echo(f"and {more} more")
    for line in found.advice:
        click.echo(f"edge: {line}")
    click.echo(f"all trials: {found.path / 'trials.csv'}")
    click.echo(printable(found.command))


def _facts(found: "Search") -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(found), "path": str(found.path)}


def _say(text: str) -> None:
    click.echo(printable(text), err=True)
