"""Who may ask: this machine, by its own name, with the token, and only to read.

Another page in the same browser can send requests here too; it does not know the token, and its
requests do not carry the cookie. A foreign name that was made to point here (DNS rebinding) is
refused by the Host header.
"""

import hmac
from typing import Any

from ..core.errors import UsageError
from ..report.section import text
from .answer import Answer, page

HOSTS = ("127.0.0.1", "localhost")
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """An ASGI application around another one: what it does not refuse goes through."""

    def __init__(self, inner: Any, token: str) -> None:
        if len(token) < 16:
            raise UsageError(f"a token of {len(token)} letters can be guessed; 16 are wanted")
        self._inner, self._token = inner, token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request; whatever is no plain HTTP is not answered."""
        if scope["type"] != "http":
            return
        from starlette.requests import Request

        request = Request(scope)
        name = f"snellen-{scope['server'][1]}"  # a cookie holds for all ports of a machine
        refusal = self._refusal(request, name)
        if refusal is not None:
            await respond(refusal)(scope, receive, send)
        elif "token" in request.query_params:
            answer = respond(_welcome(request.url.path))
            answer.set_cookie(name, self._token, httponly=True, samesite="strict", path="/")
            await answer(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    def _refusal(self, request: Any, cookie: str) -> Answer | None:
        if request.headers.get("host", "").rpartition(":")[0] not in HOSTS:
            return page("Another name", f"<p>This page answers to {' and '.join(HOSTS)} only.</p>",
                        421)  # fmt: skip
        told = request.query_params.get("token") or request.cookies.get(cookie) or ""
        if not hmac.compare_digest(told.encode("utf-8", "replace"), self._token.encode()):
            return page("No token", "<p>Open the address that <code>snellen studio</code> printed, "
                        "with all that stands behind its question mark.</p>", 403)  # fmt: skip
        if request.method != "GET":
            return page("Only reading", "<p>Nothing can be changed here.</p>", 405)
        return None


def respond(answer: Answer) -> Any:
    """An answer -> starlette's response, with the headers that all have."""
    from starlette.responses import Response

    keep = f"private, max-age={answer.seconds}" if answer.seconds else "no-store"
    own = {"content-security-policy": answer.policy, "cache-control": keep}
    allow = {"allow": "GET"} if answer.status == 405 else {}
    return Response(answer.body, answer.status, {**HEADERS, **own, **allow}, answer.kind)


def _welcome(path: str) -> Answer:
    """The way on without the token, which so stays out of what a browser remembers.

    A page, and no redirect: where a link in another page led here, a browser would keep the
    SameSite cookie back from a redirect, but sends it with a step of this page's own.
    """
    path = "/" + path.lstrip("/")
    again = f'<meta http-equiv="refresh" content="0;url={text(path)}">\n'
    return page("Welcome", f'<p><a href="{text(path)}">On to the runs</a></p>', head=again)
