"""The server: a socket of this machine alone, a token, and uvicorn until Ctrl-C."""

import errno
import os
import secrets
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from .app import build
from .shelf import Shelf

HOST = "127.0.0.1"
NEEDED = ("starlette", "uvicorn", "plotly")


class Studio:
    """A socket that is open and an application behind it; `run` answers until it is stopped."""

    def __init__(self, folder: str | Path, port: int = 0) -> None:
        check_installed()
        import uvicorn

        token = secrets.token_urlsafe(32)
        self.socket = listen(port)
        self.url = f"http://{HOST}:{self.socket.getsockname()[1]}/?token={token}"
        self.server: Any = uvicorn.Server(uvicorn.Config(
            build(Shelf(folder), token), log_config=None, log_level="warning", access_log=False,
            lifespan="off", ws="none", http="h11", loop="asyncio", proxy_headers=False,
            server_header=False, limit_concurrency=64, timeout_graceful_shutdown=1,
        ))  # fmt: skip

    def run(self) -> None:
        """Answer until Ctrl-C, or until `stop` from another thread."""
        try:
            self.server.run(sockets=[self.socket])
        except KeyboardInterrupt:  # uvicorn ends in order, and passes the signal on
            pass
        finally:
            self.socket.close()

    def stop(self) -> None:
        """End `run`."""
        self.server.should_exit = True


def check_installed() -> None:
    """Raise UsageError where the extra is missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"snellen studio needs {', '.join(missing)}, which "
                         f"{'is' if len(missing) == 1 else 'are'} not installed: "
                         "pip install 'snellen[studio]'")  # fmt: skip


def listen(port: int) -> socket.socket:
    """A socket of 127.0.0.1 on that port, on a free one where it is 0; UsageError if it is taken.

    >>> with listen(0) as free:
    ...     free.getsockname()[0]
    '127.0.0.1'
    """
    own = socket.socket()
    if os.name != "nt":  # a port of a studio that has just ended; on Windows it would steal one
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        own.bind((HOST, port))
        own.listen(128)  # a second studio could else bind it as well, before either listens
    except OSError as error:
        own.close()
        why = "taken" if error.errno == errno.EADDRINUSE else f"not to be had ({error.strerror})"
        raise UsageError(
            f"port {port} is {why}; name another --port, or none: a free one is found then"
        ) from error
    return own
