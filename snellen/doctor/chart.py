"""The chart: what the probes measured, bounded for any number of steps.

Every measurement is an event (kinds in core/events.py) that `Chart.record` takes in. The same
events are written to the run's log, so `Chart.replay(events)` gives the chart of a recorded run.
Checks read a chart and nothing else.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

EARLY, LATE = 64, 192  # what a Ring keeps: the first and the last so many


class Ring:
    """A series that keeps its first EARLY and last LATE values, and running extremes of all.

    >>> ring = Ring(); ring.extend(range(1000)); len(ring), ring[0], ring[-1], ring.count
    (256, 0, 999, 1000)
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self.count = 0
        self.early: list[Any] = []
        self.late: deque[Any] = deque(maxlen=LATE)
        self.extend(values)

    def append(self, value: Any) -> None:
        """Add one value."""
        self.count += 1
        (self.early if len(self.early) < EARLY else self.late).append(value)

    def extend(self, values: Iterable[Any]) -> None:
        """Add several."""
        for value in values:
            self.append(value)

    def __len__(self) -> int:
        return len(self.early) + len(self.late)

    def __getitem__(self, i: Any) -> Any:
        return [*self.early, *self.late][i]

    def __iter__(self) -> Any:
        yield from self.early
        yield from self.late

    def __repr__(self) -> str:
        return f"Ring({self.count} values)"


@dataclass
class Trace:
    """What was measured of one layer or parameter: fixed facts, and rows over the sampled steps.

    A row is a dict that always holds "step". The keys are listed where they are measured, in
    probes/.
    """

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    rows: Ring = field(default_factory=Ring)

    def column(self, key: str) -> list[Any]:
        """The values of one key over the rows that have it."""
        return [row[key] for row in self.rows if key in row]


@dataclass
class Chart:
    """One training as the doctor sees it.

    >>> chart = Chart(); chart.record({"kind": "step", "step": 1, "values": {"loss": 2.3}})
    >>> chart.column("loss")
    [2.3]
    """

    facts: dict[str, Any] = field(default_factory=dict)  # classes, num_samples, optimiser ...
    steps: Ring = field(default_factory=Ring)  # a row a step (thinned): loss, lr ...
    layers: dict[str, Trace] = field(default_factory=dict)  # in the order of the forward pass
    params: dict[str, Trace] = field(default_factory=dict)
    batches: dict[str, Ring] = field(default_factory=dict)  # split -> what reached the network
    loss_calls: Ring = field(default_factory=Ring)  # what a loss function received
    nonfinite: list[dict[str, Any]] = field(default_factory=list)  # the first few only
    culprits: list[dict[str, Any]] = field(default_factory=list)  # what the search named
    epochs: Ring = field(default_factory=Ring)  # train and val metrics
    probes: dict[str, Ring] = field(default_factory=dict)  # behavioural probe -> what it saw
    exams: dict[str, dict[str, Any]] = field(default_factory=dict)  # name -> what exams/ found
    trials: Ring = field(default_factory=Ring)  # of a search: settings, ranges, score
    step: int = 0  # completed optimiser steps

    def record(self, event: dict[str, Any]) -> None:
        """Take in one event; kinds that are not measurements are passed over."""
        self.step = max(self.step, event.get("step", 0))
        values = event.get("values", {})
        row = {"step": event.get("step", 0), **values}
        match event["kind"]:
            case "facts":
                self.facts.update(values)
            case "step":
                self.steps.append(row)
            case "layer" | "param" as kind:
                home = self.layers if kind == "layer" else self.params
                trace = home.setdefault(event["name"], Trace(event["name"]))
                trace.facts.update(values.get("facts", {}))
                row.pop("facts", None)
                if len(row) > 1:
                    trace.rows.append(row)
            case "batch":
                self.batches.setdefault(event["split"], Ring()).append(row)
            case "loss_call":
                self.loss_calls.append(row)
            case "nonfinite" if len(self.nonfinite) < 8:
                self.nonfinite.append(row)
            case "culprit" if len(self.culprits) < 8:
                self.culprits.append(row)
            case "probe":
                self.probes.setdefault(event["name"], Ring()).append(row)
            case "exam":
                self.exams[event["name"]] = row
            case "trial":
                self.trials.append(row)
            case "epoch":
                self.epochs.append({"step": row["step"], **event.get("metrics", {})})

    @staticmethod
    def replay(events: Iterable[dict[str, Any]]) -> "Chart":
        """The chart of a recorded run, from its event log."""
        chart = Chart()
        for event in events:
            chart.record(event)
        return chart

    def column(self, key: str) -> list[Any]:
        """One value of the step rows, over the rows that have it."""
        return [row[key] for row in self.steps if key in row]
