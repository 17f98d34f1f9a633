"""The studio's own style and script, and plotly's out of its wheel.

Each has an address that changes with its content, so that a browser may keep it.
"""

import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ..core.errors import DataError
from ..report.style import STYLE

STATIC = Path(__file__).parent / "static"
KINDS = {".css": "text/css", ".js": "text/javascript"}


@cache
def asset(name: str) -> bytes:
    """The content of a file of ours, or DataError; the style stands on the report's.

    >>> b"--paper" in asset("studio.css")
    True
    """
    if name == "plotly.js":
        return (_wheel("plotly") / "package_data" / "plotly.min.js").read_bytes()
    if name == "studio.css":
        return STYLE.encode() + (STATIC / name).read_bytes()
    if name == "studio.js":
        return (STATIC / name).read_bytes()
    raise DataError(f"there is no {name!r} here")


@cache
def address(name: str) -> str:
    """Where a browser finds it.

    >>> address("studio.css").partition("?")[0]
    '/static/studio.css'
    """
    return f"/static/{name}?v={zlib.crc32(asset(name)):x}"


def _wheel(package: str) -> Path:
    """The folder of an installed package, which need not be imported for a file of it."""
    spec = find_spec(package)
    if spec is None or not spec.origin:
        raise DataError(f"{package} is not installed: pip install 'snellen[studio]'")
    return Path(spec.origin).parent
