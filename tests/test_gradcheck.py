"""Right gradients pass, planted faults are named, and nothing of the user's is changed."""

import copy
import itertools
import math
import time

import pytest
import torch
import torch.nn.functional as F
from gradients_right import RIGHT, sigmoids
from gradients_wrong import WRONG, Layer, fc, function
from torch import nn

import snellen as sn
from snellen.byhand import gradients
from snellen.core.seeds import rng_state, seed_everything
from snellen.doctor.gradcheck import Rules
from snellen.doctor.slopes.measure import Line, Ruler
from snellen.doctor.slopes.rules import band
from snellen.doctor.slopes.subject import Leaf, Subject

FEW, FEWEST = Rules(numbers=6), Rules(numbers=2, burn_in=0)
SEEDS = (0,)  # 0..9 have been run; each takes six seconds


@pytest.fixture(autouse=True)
def _seed():
    seed_everything(5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass(name, seed):
    torch.manual_seed(seed)
    module, x, *more = RIGHT[name]()
    target, loss_fn = (*more, None, None)[:2]
    report = sn.gradcheck(module, x, target, loss_fn=loss_fn, rules=FEW, seed=seed)
    assert report, report
    assert report.worst.error < 1e-6
    report.raise_if_wrong()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", WRONG)
def test_planted_faults_are_named_with_their_tensor(name, seed):
    torch.manual_seed(seed)
    module, x, who, words = WRONG[name]()
    report = sn.gradcheck(module, x, seed=seed)
    assert not report
    assert report.named.name.removesuffix(".weight").removesuffix(".bias") in (
        who, who.rpartition(".")[0] or who)  # fmt: skip
    assert "." not in who or report.named.name == who
    assert words in report.verdict
    with pytest.raises(sn.DoctorError, match="is wrong"):
        report.raise_if_wrong()


@pytest.mark.parametrize("shape", [(1, 3, 96, 96), (4, 5), (30,)])
@pytest.mark.parametrize(("factor", "words"), [(2.0, "2 times"), (0.0, "says zero"), (-1, "-1 ti")])
def test_a_single_wrong_element_is_named_and_not_a_pattern_of_the_others(shape, factor, words):
    at = tuple(size // 3 for size in shape)

    def backward(g, x):
        dx = g * x.cos()
        dx[at] *= factor
        return dx

    said = sn.gradcheck(function("Sin", torch.sin, backward), torch.rand(shape)).verdict
    assert f"wrong at {list(at)} alone: " in said
    assert words in said


def test_small_numbers_that_are_wrong_beside_large_right_ones_are_no_factor_of_one():
    sizes, factors = torch.logspace(-6, 6, 6), torch.tensor([0.5, 1, 1, 1, 1, 1])
    used = function("Sizes", lambda x: x * sizes, lambda g, x: g * sizes * factors)
    report = sn.gradcheck(used, torch.ones(2, 6))
    assert "wrong where axis 1 at 0: 0.5 times the slope" in report.verdict


def test_ctc_is_right_only_behind_log_softmax():
    """As PyTorch documents; the other half is in RIGHT."""
    x = torch.randn(6, 1, 4).log_softmax(-1)
    more = torch.tensor([[1, 2]]), torch.tensor([6]), torch.tensor([2])
    assert not sn.gradcheck(nn.CTCLoss(), (x, *more))


def test_truncation_is_no_slope_but_where_nothing_is_cut():
    x = torch.randn(2, 5, 3)
    cell = nn.GRUCell(3, 4)
    assert sn.gradcheck(sn.nn.Recurrent(cell, truncate=5), x, rules=FEW)
    report = sn.gradcheck(sn.nn.Recurrent(cell, truncate=2), x, rules=FEW)
    assert not report
    assert report.named.name.startswith("cell.")


def test_nothing_of_the_users_is_changed_and_its_hooks_are_silent():
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5))
    net[1].eval()
    weights = torch.rand(5)
    called = []
    net[0].register_forward_hook(lambda *a: called.append(a))
    net(torch.randn(6, 4)).sum().backward()
    called.clear()
    x = torch.randn(6, 4, requires_grad=True)
    kept = copy.deepcopy([net.state_dict(), [p.grad for p in net.parameters()], x.detach()])
    modes, random = [m.training for m in net.modules()], rng_state()
    assert sn.gradcheck(lambda x: F.mse_loss(net(x) * weights, torch.zeros(6, 5)), x)
    assert sn.gradcheck(net, x)
    now = [net.state_dict(), [p.grad for p in net.parameters()], x.detach()]
    assert all(torch.equal(now[0][k], v) for k, v in kept[0].items())
    assert all((a is None and b is None) or torch.equal(a, b)
               for a, b in zip(now[1], kept[1], strict=True))  # fmt: skip
    assert torch.equal(now[2], kept[2])
    assert x.grad is None
    assert x.dtype == torch.float32
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(random[k], rng_state()[k]) for k in ("torch", "numpy", "python"))
    assert called == []
    assert len(net[0]._forward_hooks) == 1
    assert torch.get_default_dtype() == torch.float32


class Counting(nn.Module):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


@pytest.mark.parametrize(
    ("module", "x", "words"),
    [
        (nn.Linear(3, 2, device="meta"), torch.ones(1, 3), "meta device"),
        (nn.Linear(3, 2), torch.ones(1, 3, device="meta"), "x is on the meta device"),
        (torch.sin, torch.ones(3, dtype=torch.complex64), "x is complex"),
        (torch.fft.fft, torch.ones(3), "the output is complex"),
        (torch.sin, torch.ones(3).to_sparse(), "x is sparse"),
        (nn.LazyLinear(3), torch.ones(1, 3), "no shape yet"),
        (nn.Linear, torch.ones(1, 3), "give an instance"),
        (nn.Linear(3, 2), torch.ones(1, 4), "cannot be multiplied"),
        (torch.log, -torch.ones(3), "not finite in 3 of 3"),
        (torch.argmax, torch.ones(3), "no floats that a gradient"),
        (nn.Linear(3, 2), torch.ones(0, 3), "nothing comes out of Linear"),
        (Counting(), torch.ones(3), "not deterministic"),
        (nn.Embedding(3, 2).requires_grad_(False), torch.tensor([1]), "nothing to check"),
        (lambda x: torch.from_numpy((x.detach().numpy() / 3).astype("float32")), torch.ones(3),
         "answers in torch.float32"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused_with_the_reason(module, x, words):
    with pytest.raises(sn.UsageError, match=words):
        sn.gradcheck(module, x)


def test_kinks_are_counted_and_a_tensor_of_kinks_alone_is_not_passed():
    report = sn.gradcheck(torch.relu, torch.tensor([0.0, 1.0, -1.0]))
    assert report
    assert (report.rows[0].tested, report.rows[0].passed, report.rows[0].kink_at) == (
        2, {"kink": 1}, (0,))  # fmt: skip
    report = sn.gradcheck(torch.relu, torch.zeros(3))
    assert not report
    assert report.named.band == "not tested"
    assert "3 kinks, first at [0]" in report.verdict


def test_a_slope_that_rounding_hides_is_not_passed():
    report = sn.gradcheck(lambda x: 1e14 + HALF.apply(x), torch.ones(3))
    assert not report
    assert report.named.band == "too small to measure"
    assert "nothing could be measured: the slopes of x are lost in the rounding" in report.verdict
    assert "3 rounding" in str(report)
    assert sn.gradcheck(lambda x: 1e-30 * torch.sin(x), torch.ones(3)).worst.error < 1e-7
    flat = sn.gradcheck(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), X)  # a bias for nothing
    assert flat
    assert abs(flat.rows[1].small.analytic) < 1e-12
    assert flat.rows[1].band == "too small to measure"


def test_slopes_that_vanish_on_the_way_are_right_or_too_small_and_in_this_order():
    report = sn.gradcheck(sigmoids(14), torch.randn(4, 6), rules=FEWEST)
    assert report
    bands = [row.band for row in report.rows if row.kind == "parameter"]
    count = bands.count("too small to measure")
    assert 2 <= count <= 12
    assert set(bands[12:]) == {"good"}
    assert set(bands) == {"good", "too small to measure"}
    for row in report.rows:
        if row.band == "too small to measure":
            assert 0 < abs(row.small.analytic) < 1e3 * row.small.doubt
    assert "too small to measure beside the rounding of the output: 0.weight, 0.bi" in str(report)
    assert f"0.weight   -        too small to measure  {list(report.rows[0].small.index)}" in str(
        report)  # fmt: skip


@pytest.mark.parametrize("at", [2, 8])
def test_a_wrong_gradient_that_can_be_measured_is_found_among_vanishing_ones(at):
    """In layer 2 of 12 it is 1e-9, little above the rounding of a step of 2**-17."""
    wrong = fc(6, 6, dw=lambda g, x: g.T @ x / 2)
    net = sigmoids(12, **{f"at_{at}": wrong})
    report = sn.gradcheck(net, torch.randn(4, 6), rules=FEWEST)
    assert not report
    assert report.named.name == f"{2 * at}.weight"
    assert "0.5 times the slope" in report.verdict


def test_a_module_of_which_nothing_can_be_measured_is_not_called_right():
    net = sigmoids(24).requires_grad_(False)
    report = sn.gradcheck(net, torch.randn(4, 6), rules=FEWEST)
    assert not report
    assert report.verdict.startswith("nothing could be measured: the slopes of x are lost")
    with pytest.raises(sn.DoctorError, match="nothing could be measured"):
        report.raise_if_wrong()
    hidden = sn.gradcheck(nn.Linear(4, 3), X, penalty=lambda m: 1e14 + m.weight.sum())
    assert not hidden  # the loss is right; of the penalty nothing is known
    assert hidden.named.term == "penalty"


def test_a_zero_that_is_wrong_is_not_hidden_by_others_that_are_too_small():
    """The first number moves nothing though autograd says 1e6; rounding hides the others."""
    used = function(
        "Cut",
        lambda x: 1e7 + x[1:].sum() * 1e-9,
        lambda g, x: g * torch.cat([x.new_full((1,), 1e6), x.new_full((3,), 1e-9)]),
    )
    report = sn.gradcheck(used, torch.ones(4))
    assert (report.named.band, report.named.place.index) == ("wrong", (0,))


def test_a_kink_beside_the_place_is_stepped_under():
    near = torch.tensor([1e-6, -1e-6, 3e-6, 1e-5])
    report = sn.gradcheck(torch.relu, near)
    assert report
    assert report.rows[0].tested == 4


def test_bands_are_those_of_the_notes():
    edges = (math.nan, 1.0, 1.1e-2, 1e-2, 1.1e-4, 1e-4, 1.1e-7, 1e-7, 0.0)
    assert [band(e) for e in edges] == [
        "wrong", "wrong", "wrong", "suspect", "suspect", "fine only with kinks",
        "fine only with kinks", "good", "good",
    ]  # fmt: skip
    for factor, word in ((1.05, "wrong"), (1.001, "suspect"), (1.00001, "fine only with kinks")):
        slope = function("Sin", torch.sin, lambda g, x, k=factor: g * x.cos() * k)
        report = sn.gradcheck(slope, torch.randn(5))
        assert report.rows[0].band == word
        assert report.worst.error == pytest.approx(1 - 1 / factor, rel=1e-2)
        assert not report  # a sine has no kinks that might excuse it
        assert word in report.verdict


def test_an_error_that_kinks_explain_is_excused_by_kinks_alone():
    """A slope 1e-5 off: right beside kinks that were met, too much without them."""
    off = function("Off", torch.relu, lambda g, x: g * (x > 0) * 1.00001)
    smooth = sn.gradcheck(off, torch.tensor([0.5, 1.0, 2.0]))
    assert not smooth
    assert smooth.named.band == "fine only with kinks"
    assert "and none was met" in smooth.verdict
    assert sn.gradcheck(off, torch.tensor([0.0, 0.5, 1.0]))


def test_what_moves_nothing_is_not_called_right():
    """Behind dead units 0 = 0 whatever a backward says."""
    wild = fc(4, 3, dw=lambda g, x: 7 * g.T @ x, dx=lambda g, w: -g @ w)
    nn.init.constant_(wild.bias, -99.0)
    dead = nn.Sequential(wild, nn.ReLU())
    report = sn.gradcheck(dead, X)
    assert not report
    assert {row.band for row in report.rows} == {"moves nothing"}
    words = "nothing could be measured: the output does not move with 0.weight, 0.bias, x, and"
    assert words in report.verdict
    report = sn.gradcheck(dead.append(nn.Linear(3, 2)), X)
    bands = {row.name: row.band for row in report.rows}
    assert bands.pop("2.bias") == "good"
    assert set(bands.values()) == {"moves nothing"}
    assert "1 tensor," in report.verdict.replace(" 2 numbers of", "")
    assert "not tested: 0.weight, 0.bias, 2.weight and 1 more, which moves nothing" in str(report)


def test_a_parameter_that_is_not_used_is_said_to_move_nothing():
    net = nn.Linear(4, 3)
    net.register_parameter("spare", nn.Parameter(torch.ones(2)))
    report = sn.gradcheck(net, X)
    assert report
    assert {r.name: r.band for r in report.rows}["spare"] == "moves nothing"
    assert "not tested: spare" in report.verdict


@pytest.mark.parametrize("error", [0.0, 1e-8, 1e-7, 1e-6, 1e-4, 1e-3, 1e-2, 0.5, math.nan])
def test_a_band_has_one_name_here_and_by_hand(error):
    assert band(error) == gradients.band(error)


@pytest.mark.parametrize(("centred", "order"), [(True, 2), (False, 1)])
def test_the_error_falls_with_the_order_of_the_formula(centred, order):
    """Slopes 1 and 2 on log-log."""
    x = torch.tensor([0.7], dtype=torch.float64)
    subject = Subject(lambda: torch.sin(x), [Leaf("x", x)])
    errors = []
    for h in (1e-2, 1e-3):
        ruler = Ruler(subject, Rules(centred=centred, kinks=False, step=h))
        errors.append(abs(ruler.slope(Line(x, (0,)), 0.0).numeric - math.cos(0.7)))
    assert math.log10(errors[0] / errors[1]) == pytest.approx(order, abs=0.02)


X, Y = torch.linspace(-2, 2, 24).reshape(6, 4), torch.arange(6) % 3
SCALE = function("Scale", torch.mul, lambda g, x, w: (g, (g * x).sum(0)))
HALF = function("Half", torch.square, lambda g, x: g * x)


def wide():
    inner = fc(2, 2, db=lambda g: g.mean(0))
    return nn.Sequential(nn.Linear(300, 100), nn.Tanh(), nn.Linear(100, 2), inner)


def halved():
    return fc(4, 3, dw=lambda g, x: g.T @ x / 2)


STEEP, STEP = (lambda x: torch.exp(30 * x)), Rules(step=1e-5)
RULES = {  # rule -> module, x, more, whether it is right, the rule broken
    "centred": (lambda: STEEP, X, {}, True, Rules(centred=False, step=1e-5)),
    "double": (lambda: nn.Linear(4, 3), X, {}, True, Rules(double=False, step=1e-5)),
    "relative": (lambda: lambda x: 1e-9 * HALF.apply(x), X, {}, False, Rules(relative=False)),
    "relative-large": (lambda: lambda x: 1e9 * torch.sin(x), X, {}, True, Rules(relative=False)),
    "kinks": (lambda: torch.relu, 1e-6 * X, {}, True, Rules(kinks=False)),
    "step-long": (lambda: torch.tanh, X, {}, True, Rules(step=0.1)),
    "step-short": (lambda: torch.tanh, X, {}, True, Rules(step=1e-14)),
    "burn-in": (lambda: Layer(SCALE, (4,), start=1.0), X, {}, False, Rules(burn_in=0)),
    "penalty": (halved, X, {"penalty": lambda m: 1e9 * m.weight.square().sum()}, False,
                Rules(penalty_apart=False)),
    "seed": (lambda: nn.Dropout(0.5), X, {}, True, Rules(frozen=False)),
    "each": (wide, torch.linspace(-1, 1, 1800).reshape(6, 300), {}, False, Rules(each=False)),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_ignored_gives_the_wrong_verdict(rule):
    build, x, more, is_right, broken = RULES[rule]
    module = build()
    assert bool(sn.gradcheck(module, x, **more)) is is_right
    assert bool(sn.gradcheck(module, x, rules=broken, **more)) is not is_right


def test_the_formula_alone_decides_the_first_rule():
    assert sn.gradcheck(STEEP, X, rules=STEP)


def test_few_data_points_lie_beside_the_kinks_that_many_have():
    x, y = torch.randn(4000, 4), torch.arange(4000) % 3
    hinge, net = nn.MultiMarginLoss(), nn.Linear(4, 3)
    assert sn.gradcheck(net, x, y, loss_fn=hinge, rules=Rules(step=1e-2))
    assert not sn.gradcheck(net, x, y, loss_fn=hinge, rules=Rules(step=1e-2, rows=None))


def test_the_report_says_how_many_of_how_many_rows_it_looked_at():
    """This backward is wrong from row 10 on, which eight rows do not show."""
    late = function("Late", torch.square,
                    lambda g, x: 2 * g * x * (torch.arange(len(x)) < 10)[:, None])  # fmt: skip
    x, y = torch.randn(24, 3), torch.randn(24, 3)
    report = sn.gradcheck(late, x, y, loss_fn=F.mse_loss)
    assert report
    assert "8 of 24 rows were looked at: Rules(rows=None) looks at all" in str(report)
    assert report.as_dict()["notes"] == list(report.notes)
    whole = sn.gradcheck(late, x, y, loss_fn=F.mse_loss, rules=Rules(rows=None, numbers=99))
    assert not whole
    assert "rows were" not in str(whole)


def test_a_dropout_that_is_off_hides_what_is_wrong_with_it():
    module, x, *_ = WRONG["dropout-scale"]()
    assert not sn.gradcheck(module, x)
    assert sn.gradcheck(module.eval(), x)


def test_a_wrong_penalty_is_named_as_such():
    square = function("Square", torch.square, lambda g, x: g * x)
    report = sn.gradcheck(nn.Linear(4, 3), X, penalty=lambda m: square.apply(m.weight).sum())
    assert (report.named.term, report.named.name) == ("penalty", "weight")
    assert "the penalty in weight is wrong" in report.verdict
    assert [r.band for r in report.rows if r.term == "loss"] == ["good"] * 3


def test_parameters_of_the_loss_and_of_what_a_function_refers_to_are_checked():
    class Centres(nn.Module):
        def __init__(self):
            super().__init__()
            self.centre = nn.Parameter(torch.randn(3, 2))

        def forward(self, out, y):
            return (out - self.centre[y]).square().sum()

    net = nn.Linear(4, 2)
    report = sn.gradcheck(net, X, Y, loss_fn=Centres())
    assert [r.name for r in report.rows] == ["weight", "bias", "loss_fn.centre", "x"]
    report = sn.gradcheck(lambda x: net(x).sin(), X)
    assert [r.name for r in report.rows] == ["net.weight", "net.bias", "x"]
    assert [r.name for r in sn.gradcheck(net.forward, {"input": X}).rows][2] == "x['input']"


def test_time_is_shared_by_all_tensors_and_a_report_says_what_it_has_not_seen(monkeypatch):
    net = nn.Sequential(*[nn.Linear(30, 30) for _ in range(6)])
    looks = itertools.count()  # each look at the clock takes a second
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: float(next(looks)))
        patch.setenv("SNELLEN_PATIENCE", "1")
        rows = sn.gradcheck(net, torch.randn(4, 30), seconds=120.0).rows
    tested = [row.tested for row in rows]
    assert 1 <= min(tested) <= max(tested) <= min(tested) + 2
    report = sn.gradcheck(net, torch.randn(4, 30), seconds=0.0)
    assert not report
    assert "the time was over" in report.verdict


def test_a_report_is_a_table_with_a_sentence_and_plain_values():
    report = sn.gradcheck(fc(5, 3, dw=lambda g, x: -g.T @ x), torch.randn(4, 5))
    lines = str(report).splitlines()
    assert lines[0].split()[:3] == ["tensor", "error", "verdict"]
    assert [line.split()[0] for line in lines[1:4]] == ["weight", "bias", "x"]
    assert lines[4].startswith("the gradient of weight is wrong: at [")
    plain = report.as_dict()
    assert (plain["ok"], plain["rows"][0]["band"]) == (False, "wrong")
    place = plain["rows"][0]["place"]
    assert place["analytic"] == pytest.approx(-place["numeric"])
