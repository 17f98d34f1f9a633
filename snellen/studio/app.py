"""Addresses to pages: each file of pages/ says which it answers; this is the only web framework."""

import traceback
from collections.abc import Callable
from typing import Any

from ..core import registry
from ..core.errors import DataError, SnellenError
from ..report.section import text
from .answer import Answer, Asked, page
from .guard import Guard, respond
from .shelf import Shelf

Page = Callable[[Shelf, Asked], Answer]


def build(shelf: Shelf, token: str) -> Guard:
    """A shelf of runs -> the ASGI application that shows it to whoever has the token."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    pages = registry.collect("snellen.studio.pages", "PAGES")
    routes = [Route(path, _endpoint(one, shelf), methods=["GET"]) for path, one in pages.items()]
    routes.append(Route("/{rest:path}", _endpoint(_nowhere, shelf), methods=["GET"]))
    return Guard(Starlette(routes=routes), token)


def _endpoint(one: Page, shelf: Shelf) -> Any:
    """A page -> what starlette calls; it runs beside the server, which goes on answering."""

    def endpoint(request: Any) -> Any:
        query = request.query_params
        words = {name: query.getlist(name) for name in query}
        return respond(answer(one, shelf, Asked(request.path_params, words)))

    return endpoint


def answer(one: Page, shelf: Shelf, asked: Asked) -> Answer:
    """A page's answer, or in its place one that says what is the matter."""
    try:
        return one(shelf, asked)
    except SnellenError as error:
        status = 404 if isinstance(error, DataError) else 400
        return page("Not here", f"<p>{text(error)}</p>{HOME}", status)
    except OSError as error:  # a file that went away, or may not be read
        return page("Not readable", f"<p>{text(error)}</p>{HOME}", 404)
    except Exception as error:
        traceback.print_exc()
        what = text(f"{type(error).__name__}: {error}")
        return page("A bug of Snellen", f"<p>{what}; the terminal has the rest.</p>{HOME}", 500)


def _nowhere(shelf: Shelf, asked: Asked) -> Answer:
    raise DataError(f"there is no page /{asked.path['rest']}")


HOME = '<p><a href="/">All runs</a></p>'
