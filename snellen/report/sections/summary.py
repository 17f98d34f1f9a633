"""What was trained, how well, how long, and the command that repeats it."""

import math
import shlex

from ...core.words import duration, number
from ..facts import ReportFacts
from ..section import Piece, Section, text


def build(facts: ReportFacts) -> Piece | None:
    """Scores as large figures, one sentence, the command."""
    tiles = [(name, show(name, value)) for name, value in facts.best.items()]
    tiles.sort(key=lambda tile: "loss" in tile[0])
    if facts.seconds:
        tiles.append(("time", duration(facts.seconds)))
    cells = "".join(f"<div><dt>{text(n)}</dt><dd>{text(v)}</dd></div>" for n, v in tiles)
    parts = [f'<dl class="tiles">{cells}</dl>'] if tiles else []
    if words := sentence(facts):
        parts.append(f"<p>{text(words)}</p>")
    if words := command(facts):
        parts.append(f"<pre>{text(words)}</pre>")
    return Piece("\n".join(parts)) if parts else None


def show(name: str, value: float) -> str:
    """A score as per cent, a loss as a number.

    >>> show("accuracy", 0.98611), show("top5", 0.9997), show("loss", 0.0512)
    ('98.6 %', '99.97 %', '0.0512')
    """
    if "loss" not in name and 0 <= value <= 1:
        digits = 1 if round(value, 3) < 1 or value == 1 else 2  # 99.97 % is not 100
        return f"{math.floor(value * 10000) / 100 if digits == 2 else value * 100:.{digits}f} %"
    return number(value)


def sentence(facts: ReportFacts) -> str:
    """The training in one line, from what is known of it.

    >>> sentence(ReportFacts({"model": "lenet", "data": "digits", "epochs": 12, "seed": 0}))
    'lenet on digits, 12 epochs, seed 0.'
    """
    recipe = facts.recipe
    head = " on ".join(str(recipe[k]) for k in ("model", "data") if recipe.get(k))
    parts = [head] if head else []
    if facts.classes:
        parts.append(f"{len(facts.classes)} classes")
    if facts.class_counts:
        parts.append(f"{sum(facts.class_counts.values()):,} training images")
    if recipe.get("epochs") is not None:
        parts.append(f"{recipe['epochs']} epoch{'s' * (recipe['epochs'] != 1)}")
    if recipe.get("seed") is not None:
        parts.append(f"seed {recipe['seed']}")
    return ", ".join(parts) + "." if parts else ""


def command(facts: ReportFacts) -> str:
    """What repeats the training: the command that was typed, or one with all that was decided.

    >>> recipe = {"data": "my digits", "lr": 0.1, "split": 0.2}
    >>> command(ReportFacts(recipe, {"data": "you", "lr": "recipe", "split": "default"}))
    "snellen train 'data=my digits' lr=0.1"
    """
    if facts.command.startswith("snellen ") or facts.recipe.get("data") is None:
        return facts.command
    decided = {k: v for k, v in facts.recipe.items() if facts.set_by.get(k) in ("you", "recipe")}
    words = [f"{name}={value}" for name, value in decided.items() if value is not None]
    return shlex.join(["snellen", "train", *words])


SECTIONS = {"summary": Section("Summary", 10, build)}
