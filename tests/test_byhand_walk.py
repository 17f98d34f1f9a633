"""`python -m snellen.byhand` lists the ideas and walks through each; every check is right."""

import re
import subprocess
import sys

import numpy as np
import pytest

from snellen.byhand import __main__ as command
from snellen.byhand import conv, gradients, linear
from snellen.byhand._page import Page
from snellen.byhand._steps import Stepper

TOPICS = command.topics()


@pytest.fixture(scope="module")
def walks():
    return {name: command.walked(topic) for name, topic in TOPICS.items()}


@pytest.mark.parametrize("name", TOPICS)
def test_walk_fits_a_terminal_and_ends_in_checks_that_come_out_right(name, walks):
    text = walks[name]
    assert max(map(len, text.splitlines())) <= 80
    verdicts = re.findall(r"relative error (\S+): (.*)", text)
    assert verdicts, "a walk ends with the check against the centred difference"
    assert {words for _, words in verdicts} == {"good"}
    assert all(float(error) < 1e-7 for error, _ in verdicts)
    assert "object at 0x" not in text


@pytest.mark.parametrize("name", TOPICS)
def test_walk_goes_through_what_the_file_defines(name, walks):
    file = TOPICS[name]
    heads = set(re.findall(r"^(\w+)\(.*\)$", walks[name], re.MULTILINE))
    steps = ("_forward", "_backward", "_step")
    own = {key for key in command.functions(file) if key.endswith(steps)}
    if name == "momentum":
        own.remove("nesterov_step")  # its gradient is that of another point
    if name == "adaptive":
        own.remove("average_step")  # the moments of all the others
    assert own <= heads


def test_the_numbers_of_a_walk_are_those_of_the_functions(walks):
    x = np.array([[1.0, 2.0, -1.0], [0.0, 0.5, 3.0]])
    w, b = np.array([[0.2, -0.4, 1.0], [0.5, 0.1, -0.3]]), np.array([0.1, -0.2])
    y, cache = linear.linear_forward(x, w, b)
    shown = [y, *linear.linear_backward(gradients.upstream(y), cache)]
    for value in shown:
        rows = np.array2string(value.round(4) + 0.0).splitlines()
        assert all(row.strip() in walks["linear"] for row in rows)


def test_a_wrong_backward_is_called_wrong():
    page = Page()
    page.layer(linear.linear_forward, wrong_backward, x_BI=np.ones((2, 3)), w_OI=np.ones((1, 3)),
               b_O=np.zeros(1))  # fmt: skip
    said = dict(re.findall(r"(d_\w+) +relative error \S+: (.*)", page.text))
    assert said == {"d_x_BI": "good", "d_w_OI": "wrong", "d_b_O": "good"}


def wrong_backward(d_y_BO, cache):
    """The mean for the sum."""
    x_BI, w_OI = cache
    return d_y_BO @ w_OI, d_y_BO.T @ x_BI / len(x_BI), d_y_BO.sum(axis=0)


def ways(x, flag=True, *, power=2):
    """Every kind of statement that a file of the room may have."""
    # why it begins here
    a, (b, *_) = x + 1, [x, 3, 4]
    out = np.zeros(2)
    for t in range(2):
        out[t] = a * t
        out[t] += b
    if flag:
        out **= power
    else:
        return None
    names = [n * 2 for n in range(int(out.sum()))]
    return out, (names, t)


def test_a_function_run_by_steps_gives_what_it_gives():
    told = []
    result = Stepper(told.append)(ways, x=1.0)
    wanted = ways(1.0)
    np.testing.assert_array_equal(result[0], wanted[0])
    assert result[1] == wanted[1]
    assert (told[0].comment, told[0].code) == (
        "why it begins here",
        "a, (b, *_) = x + 1, [x, 3, 4]",
    )
    assert told[0].values == {"a": 2.0, "b": 1.0, "_": [3, 4]}
    assert [step.values for step in told if step.code.startswith("out[t]")] == [
        {"out[t]": 0.0}, {"out[t]": 1.0}, {"out[t]": 2.0}, {"out[t]": 3.0}
    ]  # fmt: skip
    assert Stepper(told.append)(ways, x=1.0, flag=False) is None


@pytest.mark.parametrize("function", [conv.conv_forward, conv.im2col])
def test_stepping_changes_no_bit(function):
    x = np.random.default_rng(0).normal(size=(1, 2, 4, 4))
    given = {"x_BCHW": x, "kernel": (2, 2), "stride": 2}
    if function is conv.conv_forward:
        w = np.random.default_rng(1).normal(size=(3, 2, 2, 2))
        given = {"x_BCHW": x, "w_OCRS": w, "b_O": np.ones(3), "stride": 2}
    stepped, plain = Stepper(lambda step: None)(function, **given), function(**given)
    stepped, plain = (one[0] if isinstance(one, tuple) else one for one in (stepped, plain))
    np.testing.assert_array_equal(stepped, plain)


def test_without_a_topic_it_lists_them_all(capsys):
    assert command.main([]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    listed = re.findall(r"^  (\w+) +\S", out, re.MULTILINE)
    assert listed == list(TOPICS)
    for heading in command.CHAPTERS.values():
        assert heading in out.splitlines()


NEAREST = {
    "convolution": "conv", "ltsm": "lstm", "batchnorm": "batch_norm", "sigmoid": "activations",
    "im2col": "conv", "Adam": "adaptive",
}  # fmt: skip


@pytest.mark.parametrize(("word", "near"), list(NEAREST.items()))
def test_unknown_topic_is_one_line_with_the_nearest_and_exit_2(word, near, capsys):
    assert command.main([word]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert repr(word) in said.err
    assert f"did you mean {near}?" in said.err


def test_a_topic_is_found_however_it_is_written(capsys):
    for word in ("batch-norm", "Batch_Norm", "batch_norm.py"):
        assert command.main([word]) == 0
    assert command.main(["conv", "linear"]) == 2
    assert "'conv linear'" in capsys.readouterr().err


def test_the_command_needs_no_torch():
    code = (
        "import sys, runpy; sys.argv[1:] = ['lstm']\n"
        "try: runpy.run_module('snellen.byhand', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "foreign = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not foreign & {'torch', 'scipy', 'PIL', 'yaml', 'click'}, foreign\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "lstm_backward(d_h_TBH, cache)" in done.stdout


@pytest.mark.parametrize(
    ("topic", "says"),
    [("adaptive", "with lr = 0.1, decay = 0.99, eps = 1e-07"), ("momentum", "rho = 0.9"),
     ("hinge", "margin = 1.0, power = 2")],
)  # fmt: skip
def test_a_walk_says_the_settings_that_it_takes(topic, says):
    assert says in command.walked(command.topics()[topic])
