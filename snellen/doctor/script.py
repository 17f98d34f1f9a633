"""Runs a user's script, unchanged, under the doctor's eyes.

The script is __main__, its folder stands first on sys.path, sys.argv is its own; what it raises is
shown as python shows it. Exit codes, the first that holds: 130 interrupted; 4 where the loss, a
gradient or a weight stopped being a number, whatever the cause; 1 findings at or above fail_on;
else the script's own. fail_on="never" leaves it at the script's own.
"""

import builtins
import os
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from ..core.errors import UsageError
from . import autograd
from . import preflight as flight
from .discover import Discovery
from .finding import LEVELS, Finding, at_or_above
from .hung import uncopied
from .outcome import STDOUT, Outcome, Then, print_outcome, write_outcome
from .ward import Ward, told

HERE = str(Path(__file__).parent)


def run_script(
    script: str | Path,
    argv: Sequence[str] = (),
    *,
    json: str | Path | None = None,
    sarif: str | Path | None = None,
    preflight: bool = False,
    fail_on: str = "error",
    ignore: Sequence[str] = (),
    then: Sequence[Then] = (),
) -> int:
    """A script and its arguments -> the exit code, after printing what was found.

    Each of `then` is called with the outcome before files are written; what it returns is added to
    the JSON.

    `preflight` looks through each data set before its first batch, and examines data and network
    at the first backward pass. Raises UsageError where there
    is no such script.
    """
    if fail_on not in ("never", *LEVELS):
        raise UsageError(f"fail_on={fail_on!r}: one of never, {', '.join(LEVELS)}")
    source = _read(Path(script))
    doc = ScriptDoctor(ignore=tuple(ignore), preflight=preflight)
    own, interrupted = _run(doc, source, str(script), list(argv))
    outcome = Outcome(str(Path(script).resolve()), tuple(argv), doc.ward.leading(), doc.ward)
    print_outcome(outcome, sys.stderr if str(json) == STDOUT else None)
    for function in () if interrupted else then:
        outcome.guarded(function, outcome)
    write_outcome(outcome, json, sarif)
    return exit_code(own, outcome.findings, fail_on=fail_on, interrupted=interrupted)


def exit_code(
    own: int, findings: tuple[Finding, ...], *, fail_on: str, interrupted: bool = False
) -> int:
    """The contract's order: 130 before 4 before 1, else the script's own.

    >>> exit_code(0, (Finding("lr-too-high", "error", ""),), fail_on="error")
    1
    >>> exit_code(5, (Finding("lr-too-high", "error", ""),), fail_on="never")
    5
    """
    if interrupted:
        return 130
    if fail_on == "never" or not at_or_above(findings, fail_on):
        return own
    return 4 if any(_diverged(finding) for finding in findings) else 1


def _diverged(finding: Finding) -> bool:
    """Whether a finding, or a symptom under it, is a loss that is no longer a number."""
    return finding.id == "numerics-nan-loss" or any(map(_diverged, finding.symptoms))


class ScriptDoctor:
    """A Doctor that finds networks and optimisers itself."""

    def __init__(self, *, ignore: tuple[str, ...], preflight: bool) -> None:
        self.ward = Ward(ignore)
        self.preflight = preflight
        self._stack = ExitStack()
        self._audited: set[int] = set()
        self._flown = not preflight

    def __enter__(self) -> "ScriptDoctor":
        self.ward.active.engine.open()
        self._stack.enter_context(self.ward.loaders.followed())
        self._stack.enter_context(autograd.seen(self._backward, self.ward.after_backward))
        self._discovery = Discovery(self.ward)
        self._stack.enter_context(uncopied())
        self._stack.enter_context(self._discovery.searching())
        if self.preflight:
            self.ward.loaders.on_first = self._audit
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        engine = self.doc.engine
        engine.guarded(self.doc.search.finish, error)
        self._stack.close()
        engine.guarded(self._discovery.enrol_idle)
        for doc in self.ward.live:
            self.ward.end(doc, failed=doc is self.doc and isinstance(error, Exception))

    def _backward(self, loss: Any) -> None:
        """The active engine's, after the preflight at the first one."""
        if self.ward.looks_away:
            return
        if not self._flown and self.doc.engine.feed is not None:
            self._flown = True
            self.doc.engine.guarded(flight.at_first_backward, self.doc, loss, _bar)
        self.doc.engine.guarded(self._discovery.joined, loss)
        self.doc.engine.on_backward(loss)

    @property
    def doc(self) -> Any:
        """The doctor of the training that runs."""
        return self.ward.active

    def _audit(self, dataset: Any) -> None:
        """Look through a data set the first time that a loader deals from it."""
        if id(dataset) not in self._audited:
            self._audited.add(id(dataset))
            split = "train" if torch.is_grad_enabled() else "val"
            self.doc.engine.guarded(self.doc.search.preflight, dataset, split)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, the likeliest root first."""
        return told(self.ward.outcomes(), self.ward.ignore)

    @property
    def notes(self) -> list[str]:
        """What the doctor itself could not do."""
        return [note for training in self.ward.outcomes() for note in training.notes]


def _bar(done: int, total: int, what: str) -> None:
    """How far the preflight is, on a terminal; gone when it is done."""
    if sys.stderr.isatty():
        filled = "#" * (20 * done // max(1, total))
        line = f"preflight [{filled:<20}] {what:<16}" if what else " " * 50 + "\r"
        print(f"\r{line}", end="", file=sys.stderr, flush=True)


def _read(script: Path) -> bytes:
    try:
        return script.read_bytes()
    except OSError as error:
        raise UsageError(
            f"no script to run: {script}: {error.strerror}; name a python file"
        ) from None


def _run(doc: ScriptDoctor, source: bytes, name: str, argv: list[str]) -> tuple[int, bool]:
    """Run the script; its exit code, and whether it was interrupted."""
    try:
        with _as_main(name, argv) as namespace, doc:
            exec(compile(source, name, "exec", dont_inherit=True), namespace)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0, False
        print(error.code, file=sys.stderr)
        return 1, False
    except KeyboardInterrupt:
        return 130, True
    except BaseException as error:
        # A script that cannot be compiled has no frames of its own, and python shows none.
        traceback = None if _is_ours_only(error) else without_doctor(error.__traceback__)
        sys.stdout.flush()
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
        return 1, False
    return 0, False


def run_as_main(script: str, argv: list[str]) -> None:
    """Run a script as python would, and let through whatever it raises."""
    with _as_main(script, argv) as namespace:
        exec(compile(_read(Path(script)), script, "exec", dont_inherit=True), namespace)


@contextmanager
def _as_main(name: str, argv: list[str]) -> Iterator[dict[str, Any]]:
    """The namespace of a fresh __main__; argv, path and the module before are put back."""
    main = types.ModuleType("__main__")
    file = os.path.abspath(name)  # as python has it: a script may change its folder
    main.__dict__.update(__file__=file, __builtins__=builtins, __package__=None, __spec__=None)
    before = sys.argv, sys.path[:], sys.modules.get("__main__")
    sys.argv = [name, *argv]
    sys.path.insert(0, str(Path(name).resolve().parent))
    sys.modules["__main__"] = main
    try:
        yield main.__dict__
    finally:
        sys.argv, sys.path[:] = before[0], before[1]
        if before[2] is not None:
            sys.modules["__main__"] = before[2]


def without_doctor(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback without the frames of this folder, and without the detour of a heard call."""
    frames: list[types.TracebackType] = []
    while traceback is not None:
        if not _file(traceback).startswith(HERE):
            frames.append(traceback)
        elif frames and _file(frames[-1]) == torch.overrides.__file__:
            del frames[-2:]  # torch's dispatch to the mode, and the function that came to it
        traceback = traceback.tb_next
    following: types.TracebackType | None = None
    for tb in reversed(frames):
        following = types.TracebackType(following, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    return following


def _file(traceback: types.TracebackType) -> str:
    return traceback.tb_frame.f_code.co_filename


def _is_ours_only(error: BaseException) -> bool:
    return isinstance(error, SyntaxError) and without_doctor(error.__traceback__) is None
