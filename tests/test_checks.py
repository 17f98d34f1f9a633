"""Every check: complete facts, fires on its sick charts, silent on every healthy one of all."""

import json
import re
import sys

import pytest

from snellen.doctor.chart import Chart, Trace
from snellen.doctor.check import Check, all_checks, judge
from snellen.doctor.finding import LEVELS, Finding, at_or_above, fold

CHECKS = all_checks()
FIRST = (
    "data-nonfinite", "numerics-nan-loss", "data-unnormalised", "label-out-of-range",
    "init-loss-unexpected", "init-zero", "arch-dead-relu", "grad-vanishing", "lr-too-high",
    "lr-too-low", "weights-not-updating", "loop-no-zero-grad",
)  # fmt: skip


def cases(check: Check, name: str) -> list[Chart]:
    made = getattr(sys.modules[type(check).__module__], name)()
    return made if isinstance(made, list) else [made]


HEALTHY = [
    pytest.param(chart, id=f"{id}-{number}")
    for id, check in CHECKS.items()
    for number, chart in enumerate(cases(check, "healthy"))
]


def test_the_first_checks_are_there():
    assert set(FIRST) <= set(CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_facts_are_complete(check):
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", check.id)
    assert check.level in LEVELS
    for fact in ("signal", "threshold", "source", "why", "do", "bad", "good"):
        assert getattr(check, fact), f"{check.id} has no {fact}"
    assert check.bad != check.good
    assert check.id not in check.explains
    assert len(set(check.explains)) == len(check.explains)
    assert (type(check).__doc__ or "").strip()


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_fires_on_every_sick_chart(check):
    for chart in cases(check, "sick"):
        finding = check.look(chart)
        assert finding is not None
        assert finding.id == check.id
        assert re.search(r"\d", finding.message), finding.message
        assert finding.why
        assert finding.do
        assert 0 < finding.confidence <= 1
        again = Finding.from_dict(json.loads(json.dumps(finding.as_dict())))
        assert again == finding


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_its_sick_chart_puts_it_or_its_root_first(check):
    for chart in cases(check, "sick"):
        roots = judge(chart)
        everything = {f.id for root in roots for f in (root, *root.symptoms)}
        assert check.id in everything


@pytest.mark.parametrize("chart", HEALTHY)
def test_every_check_is_silent_on_every_healthy_chart(chart):
    said = [f"{f.id}: {f.message}" for f in at_or_above(judge(chart), "warning")]
    assert not said


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_an_empty_chart_says_nothing(check):
    assert check.look(Chart()) is None


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_missing_keys_keep_it_quiet_and_never_raise(check):
    """Every key is optional: drop each in turn from the sick charts."""
    for chart in cases(check, "sick"):
        for kind in ("steps", "loss_calls"):
            for key in {key for row in getattr(chart, kind) for key in row if key != "step"}:
                less = Chart(**{**vars(chart), kind: without(getattr(chart, kind), key)})
                check.look(less)
        for key in chart.facts:
            rest = {name: value for name, value in chart.facts.items() if name != key}
            check.look(Chart(**{**vars(chart), "facts": {**rest, key: None}}))
            check.look(Chart(**{**vars(chart), "facts": rest}))
        for kind in ("layers", "params"):
            traces = getattr(chart, kind).values()
            for key in {key for t in traces for row in t.rows for key in row if key != "step"}:
                less = {t.name: Trace(t.name, t.facts, without(t.rows, key)) for t in traces}
                check.look(Chart(**{**vars(chart), kind: less}))
            bare = {t.name: Trace(t.name, {}, t.rows) for t in traces}
            check.look(Chart(**{**vars(chart), kind: bare}))
        for split, rows in chart.batches.items():
            for key in {key for row in rows for key in row if key != "step"}:
                less = {**chart.batches, split: without(rows, key)}
                check.look(Chart(**{**vars(chart), "batches": less}))


def without(rows, key):
    return type(rows)({name: row[name] for name in row if name != key} for row in rows)


def test_looking_changes_nothing():
    for check in CHECKS.values():
        for chart in cases(check, "sick"):
            before = repr((chart.facts, list(chart.steps), chart.culprits, chart.nonfinite))
            check.look(chart)
            assert before == repr((chart.facts, list(chart.steps), chart.culprits, chart.nonfinite))


def test_every_id_that_is_explained_has_the_form_of_an_id():
    for check in CHECKS.values():
        for id in check.explains:
            assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", id), (check.id, id)


def found(id, level="error", confidence=0.9, since=0):
    return Finding(id, level, "1", confidence=confidence, since=since)


def test_fold_puts_the_root_first_and_its_symptoms_under_it():
    roots = fold([found("b", confidence=0.99), found("a", confidence=0.5)], {"a": ("b",)})
    assert [(r.id, [s.id for s in r.symptoms]) for r in roots] == [("a", ["b"])]


def test_fold_follows_chains_whose_middle_was_found():
    explains = {"a": ("b",), "b": ("c",)}
    roots = fold([found("c"), found("b"), found("a")], explains)
    assert [(r.id, {s.id for s in r.symptoms}) for r in roots] == [("a", {"b", "c"})]


def test_fold_follows_no_chain_whose_middle_is_missing():
    """Dead units leave parameters without gradients; so does a detached graph, which is not here,
    and what follows from that does not follow from dead units."""
    roots = fold([found("c", since=1), found("a")], {"a": ("b",), "b": ("c",)})
    assert [(r.id, r.symptoms) for r in roots] == [("a", ()), ("c", ())]


def test_fold_keeps_the_surer_of_two_that_explain_each_other():
    explains = {"a": ("b",), "b": ("a",)}
    roots = fold([found("a", confidence=0.6), found("b", confidence=0.8)], explains)
    assert [(r.id, [s.id for s in r.symptoms]) for r in roots] == [("b", ["a"])]


def test_fold_keeps_strangers_apart_gravest_first():
    roots = fold([found("a", "advice", 0.99), found("b", "error", 0.6), found("c", "warning")], {})
    assert [r.id for r in roots] == ["b", "c", "a"]


def test_fold_gives_a_shared_symptom_to_one_root_only():
    roots = fold([found("s"), found("a", "warning"), found("b")], {"a": ("s",), "b": ("s",)})
    assert [(r.id, [s.id for s in r.symptoms]) for r in roots] == [("b", ["s"]), ("a", [])]


def test_bad_data_stands_above_all_that_it_can_cause():
    """The whole pile of a NaN image: every symptom goes under data-nonfinite."""
    explains = {id: check.explains for id, check in CHECKS.items()}
    pile = [found(id) for id in ("numerics-nan-loss", "lr-too-high", "arch-dead-relu")]
    roots = fold([*pile, found("data-nonfinite", confidence=0.6)], explains)
    assert [r.id for r in roots] == ["data-nonfinite"]
    assert len(roots[0].symptoms) == 3


def test_a_root_is_as_grave_as_its_gravest_symptom():
    pile = [found("s", "error"), found("b", "warning", 0.99), found("a", "warning", 0.5)]
    roots = fold(pile, {"a": ("s",)})
    assert [(r.id, r.level) for r in roots] == [("a", "error"), ("b", "warning")]


def test_ignored_checks_are_not_asked():
    chart = cases(CHECKS["loop-no-zero-grad"], "sick")[0]
    assert "loop-no-zero-grad" in {f.id for f in judge(chart)}
    assert "loop-no-zero-grad" not in {f.id for f in judge(chart, ("loop-no-zero-grad",))}
