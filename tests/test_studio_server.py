"""The rules of the server, one by one, through a real socket of this machine."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from running import assert_well_said, run_cli
from test_studio import EVIL

from snellen.core.errors import UsageError
from snellen.studio import server
from snellen.studio.guard import Guard

ROOT = Path(__file__).resolve().parents[1]
absent = [name for name in server.NEEDED if not server.find_spec(name)]
pytestmark = pytest.mark.skipif(bool(absent), reason=f"{absent} not installed: snellen[studio]")


class Site:
    """A studio at work, and plain requests to it."""

    def __init__(self, url: str):
        whole = urlsplit(url)
        self.host, self.port, self.token = whole.hostname, whole.port, whole.query[6:]
        self.cookie = f"snellen-{self.port}={self.token}"

    def ask(self, path: str, method: str = "GET", **headers: str | None):
        """The answer with its body read; a header that is None is not sent."""
        sent = {"Host": f"{self.host}:{self.port}", "Cookie": self.cookie, **headers}
        line = http.client.HTTPConnection(self.host, self.port, timeout=300)
        with contextlib.closing(line):
            line.putrequest(method, path, skip_host=True)
            for name, value in sent.items():
                if value is not None:
                    line.putheader(name, value)
            line.endheaders()
            got = line.getresponse()
            got.text = got.read().decode("utf-8", "replace")
            return got


@pytest.fixture(scope="module")
def site(run_with_pictures) -> Iterator[Site]:
    studio = server.Studio(run_with_pictures)
    thread = threading.Thread(target=studio.run)
    thread.start()
    yield Site(studio.url)
    studio.stop()
    thread.join(300)
    assert not thread.is_alive()


ADDRESSES = (
    "/",
    "/run/pets-1",
    "/run/pets-1/curves",
    "/run/pets-1/report",
    "/checks",
    "/nowhere",
    "/run/pets-1/plots/confusion.png",
    "/static/studio.js",
    "/static/plotly.js",
)


@pytest.mark.parametrize("path", ADDRESSES)
def test_every_request_needs_the_token(path, site):
    for cookie in (None, "", f"snellen-{site.port}=", f"snellen-{site.port}={site.token[:-1]}",
                   f"snellen-1={site.token}", f"snellen-{site.port}=\u00e9"):  # fmt: skip
        got = site.ask(path, Cookie=cookie)
        assert (got.status, "pets" in got.text) == (403, False), cookie
    assert site.ask(f"{path}?token=guessed", Cookie=None).status == 403
    assert site.ask(path).status == (404 if path == "/nowhere" else 200)


def test_the_first_visit_sets_a_cookie_that_no_script_and_no_other_site_can_use(site):
    got = site.ask(f"/?token={site.token}", Cookie=None)
    kept = got.headers["Set-Cookie"]
    assert (got.status, site.cookie in kept) == (200, True)
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(kept.split("; "))
    assert 'http-equiv="refresh" content="0;url=/"' in got.text
    assert site.token not in got.text
    assert site.ask("/").headers["Set-Cookie"] is None


def test_the_way_on_leads_to_no_other_site(site):
    got = site.ask(f"//evil.example/x?token={site.token}", Cookie=None)
    assert "url=/evil.example/x" in got.text


def test_tokens_are_long_and_new_each_time(tmp_path):
    tokens = set()
    for _ in range(3):
        studio = server.Studio(tmp_path)
        studio.socket.close()
        tokens.add(Site(studio.url).token)
    assert len(tokens) == 3
    assert min(map(len, tokens)) >= 43  # 256 bits
    with pytest.raises(UsageError, match="guessed"):
        Guard(None, "")


def test_tokens_are_compared_in_constant_time(site, monkeypatch):
    asked = []
    compare = server.build.__globals__["Guard"]._refusal.__globals__["hmac"].compare_digest
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: asked.append(b) or compare(a, b))
    site.ask("/")
    assert asked == [site.token.encode()]


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example:80", 421), ("127.0.0.1.evil.example:80", 421), ("evil.example", 421),
     ("", 421), (None, 421), ("0.0.0.0:1", 421), ("localhost:1", 200)],
)  # fmt: skip
def test_a_foreign_name_that_points_here_is_refused(host, status, site):
    got = site.ask("/", Host=host)
    assert got.status in ({421, 400} if host is None else {status})
    assert ("pets-1" in got.text) == (status == 200)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
def test_get_alone_is_answered(method, site):
    got = site.ask("/", method)
    assert (got.status, got.headers["Allow"]) == (405, "GET")


def test_no_other_site_is_let_in(site):
    got = site.ask("/run/pets-1/curves", Origin="http://evil.example")
    assert not [name for name in got.headers if name.lower().startswith("access-control")]
    assert got.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("path", [*ADDRESSES, "/?token=x"])
def test_every_answer_has_the_strict_headers(path, site):
    got = site.ask(path, Cookie=None if "token" in path else site.cookie)
    rules = dict(one.strip().partition(" ")[::2]
                 for one in got.headers["Content-Security-Policy"].split(";"))  # fmt: skip
    assert rules["default-src"] == "'none'"
    assert rules.get("script-src", "'self'") == "'self'"
    assert "sandbox" in rules or rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["X-Frame-Options"] == "DENY"
    assert got.headers["Referrer-Policy"] == "no-referrer"
    assert ("static" in path) == ("max-age" in got.headers["Cache-Control"])
    assert got.headers["Server"] is None


@pytest.mark.parametrize("path", ["/", "/run/pets-1", "/checks?q=nan", "/nowhere"])
def test_pages_hold_no_script_of_their_own_and_ask_no_other_site(path, site):
    text = site.ask(path).text
    assert not re.search(r"<script(?![^>]* src=\"/static/)|<style| style=|\son\w+=", text)
    assert not re.search(r"(src|href|action)=\"(?!/(?!/)|#|data:,)", text)


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/run/..", "/run/%2e%2e",
     "/run/..%2f..", "/run/pets-1/plots/..%2fconfig.yaml", "/run/pets-1/plots/%2fetc%2fpasswd",
     "/run/pets-1/../../pets/c/0.png", "/run/pets-1/picture?file=/etc/passwd", "/etc/passwd",
     "/run/pets-1/picture?file=..%2f..%2fsnellen.svg", "/run/%00", "/run/pets-1%00", "/static/",
     "/run/%ff", "/run//", f"/run/{EVIL.replace(' ', '')}"],
)  # fmt: skip
def test_nothing_outside_can_be_named(path, site):
    got = site.ask(path)
    assert got.status == 404
    assert "<script>" not in got.text


def test_nothing_is_written(site, run_with_pictures):
    def state():
        return {path: (path.lstat().st_mtime_ns, path.lstat().st_size)
                for path in run_with_pictures.parent.rglob("*")}  # fmt: skip

    before = state()
    for path in ADDRESSES:
        site.ask(path)
    assert state() == before


def test_it_listens_on_this_machine_alone(site):
    with server.listen(0) as own:
        assert own.getsockname()[0] == "127.0.0.1"
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in others - {"127.0.0.1"}:
        with socket.socket() as door:
            door.settimeout(2)
            assert door.connect_ex((address, site.port)) != 0


def test_plotly_comes_from_its_wheel(site):
    got = site.ask("/static/plotly.js")
    assert "plotly.js v" in got.text[:200]
    assert got.headers["Content-Type"].startswith("text/javascript")
    assert "cdn" not in site.ask("/run/pets-1").text


def test_a_port_that_is_taken_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with server.listen(0) as own:
        ended = run_cli("studio", f"port={own.getsockname()[1]}")
    assert_well_said(ended, 2, ["is taken", "--port"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["absent"], 3, "there is no 'absent'"),
        (["--port", "99999"], 2, "65535"),
        (["prot=3"], 2, "did you mean port=3"),
        (["a.txt"], 3, "a.txt is a file"),
    ],
)
def test_words_that_cannot_be_followed(words, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").touch()
    assert_well_said(run_cli("studio", *words), code, [said])


def test_a_missing_extra_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "find_spec", lambda name: None if name == "uvicorn" else name)
    ended = run_cli("studio")
    assert_well_said(ended, 2, ["needs uvicorn, which is not installed", "'snellen[studio]'"])


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
def test_the_command_says_where_it_is_and_ends_well_on_ctrl_c(run_with_pictures):
    process = subprocess.Popen(
        [sys.executable, "-m", "snellen", "studio", str(run_with_pictures)], text=True, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    site = Site(process.stdout.readline().strip())
    assert "pets-1" in site.ask("/").text
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err
