"""/checks?q=WORDS : what do I do when ...: every check of the doctor, with a search."""

from typing import TYPE_CHECKING

from ...core.errors import nearest
from ...report.section import text
from ..answer import Answer, Asked, page, quoted
from ..shelf import Shelf

if TYPE_CHECKING:
    from ...doctor.check import Check

OPEN = 3  # so few are shown unfolded


def checks(shelf: Shelf, asked: Asked) -> Answer:
    """The checks in which every word that was searched for stands; all where none was."""
    from ...doctor.check import all_checks  # reads torch, which takes seconds

    known, asks = all_checks(), asked.word("q")
    told = {id: _words(check) for id, check in known.items()}
    words = asks.casefold().split()
    found = [id for id in known if all(word in told[id].casefold() for word in words)]
    found = [asks] if asks in known else found
    cards = [_card(known[id], is_open=len(found) <= OPEN) for id in found]
    body = f"{_form(asks)}{''.join(cards)}" if found else f"{_form(asks)}{_nothing(asks, known)}"
    return page("What do I do when ...", body)


def _form(asks: str) -> str:
    return (
        '<form action="/checks" role="search"><p><label for="q">Search for a symptom or a name '
        f'</label><input id="q" name="q" type="search" value="{text(asks)}"> '
        "<button>Search</button></p></form>"
    )


def _nothing(asks: str, known: "dict[str, Check]") -> str:
    near = [f'<a href="/checks?{quoted(q=id)}">{id}</a>' for id in nearest(asks, known)]
    hint = f" Near it: {', '.join(near)}." if near else " Try fewer words, or one: loss, nan, flat."
    return f"<p>No check has {text(repr(asks))}.{hint}</p>"


def _title(check: "Check") -> str:
    return (type(check).__doc__ or "").strip().partition("\n")[0]


def _words(check: "Check") -> str:
    from ...doctor.explain import facts

    return " ".join([check.id, _title(check), *(words for _, words in facts(check))])


def _card(check: "Check", is_open: bool) -> str:
    from ...doctor.explain import facts

    rows = "".join(
        f"<dt>{text(name)}</dt><dd>{_cell(name, words)}</dd>" for name, words in facts(check)
    )
    return (
        f'<details class="finding {text(check.level)}" id="{text(check.id)}"{" open" * is_open}>'
        f"<summary><b>{text(_title(check))}</b> {text(check.level)} · {text(check.id)}</summary>"
        f"<dl>{rows}</dl></details>"
    )


def _cell(name: str, words: str) -> str:
    return f"<pre>{text(words)}</pre>" if name in ("bad", "good") else text(words)


PAGES = {"/checks": checks}
