"""What a page is asked and what it answers: plain facts, and no web framework."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from ..core.events import spelled
from ..report.section import text
from ..version import __version__
from .assets import address

# No script or style but those of this server; whatever stands in a file's name can reach nothing.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Asked:
    """The variable parts of the path, and the words behind the question mark.

    >>> Asked(words={"q": ["nan"]}).word("q")
    'nan'
    """

    path: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def word(self, name: str, usual: str = "") -> str:
        """The last word of that name."""
        return self.words[name][-1] if self.words.get(name) else usual


@dataclass(frozen=True)
class Answer:
    """Bytes and how a browser is to take them; `seconds` is how long it may keep them."""

    body: bytes
    kind: str = HTML
    status: int = 200
    policy: str = POLICY
    seconds: int = 0


def page(title: str, body: str, status: int = 200, head: str = "") -> Answer:
    """HTML that is already escaped -> a whole page with its navigation.

    >>> b"<h1>&lt;b&gt;</h1>" in page("<b>", "").body
    True
    """
    whole = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{text(title)} · Snellen</title>\n'
        '<link rel="icon" href="data:,">\n'
        # plotly asks whether this id has this class before it writes styles into the page
        '<link rel="stylesheet" id="plotly.js-style-global" class="no-inline-styles"'
        f' href="{address("studio.css")}">\n{head}</head>\n<body>\n'
        '<a class="skip" href="#main">To the content</a>\n'
        '<header><p class="brand"><a href="/">Snellen studio</a> · '
        f'<a href="/checks">What do I do when ...</a></p><h1>{text(title)}</h1></header>\n'
        f'<main id="main">\n{body}\n</main>\n'
        f"<footer>Snellen {text(__version__)}; it only reads</footer>\n</body>\n</html>\n"
    )
    return Answer(whole.encode("utf-8", "replace"), status=status)


def scripts(*names: str) -> str:
    """The head of a page that draws."""
    return "".join(f'<script defer src="{address(name)}"></script>\n' for name in names)


def as_json(value: Any) -> Answer:
    """A value -> JSON.

    >>> as_json({"loss": float("nan")}).body
    b'{"loss": "nan"}'
    """
    return Answer(json.dumps(spelled(value)).encode(), "application/json")


def url(*parts: str) -> str:
    """The parts of a path -> the path, quoted.

    >>> url("run", "a/b?", "report")
    '/run/a%2Fb%3F/report'
    """
    return "".join(f"/{quote(part, safe='', errors='replace')}" for part in parts)


def quoted(**words: str) -> str:
    """Words -> what stands behind the question mark, safe inside HTML too.

    >>> quoted(file="a&b.png", box="1,2")
    'file=a%26b.png&amp;box=1%2C2'
    """
    return urlencode(words, errors="surrogateescape").replace("&", "&amp;")
