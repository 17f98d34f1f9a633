"""Inside the doctor a network is saved, copied, exported, traced and scripted as without it."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.jit import _recursive as scripting

import snellen as sn

HOMES = ("_forward_hooks", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
         "_forward_hooks_always_called", "_forward_hooks_with_kwargs")  # fmt: skip


class Own(nn.Module):
    """A network that says itself what is pickled of it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x_BD):
        return F.relu(self.layer(x_BD))

    def __getstate__(self):
        return self.__dict__.copy()


@pytest.fixture
def case():
    torch.manual_seed(0)
    x_BCHW, y_B = torch.randn(16, 3, 8, 8), torch.arange(16) % 2
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
                        nn.Linear(144, 2))  # fmt: skip
    return net, torch.optim.SGD(net.parameters(), 0.05), x_BCHW, y_B


def steps(net, optimizer, x, y, count=3):
    for _ in range(count):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()


def hooks(net):
    return [hook for m in net.modules() for home in HOMES for hook in getattr(m, home).items()]


def loaded(net):
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [loaded, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies_and_files_hold_no_hook_of_the_doctors_and_all_of_the_users(case, copied):
    net, optimizer, x, y = case
    torchs = nn.Module.__getstate__, scripting.create_script_module
    net[0].register_forward_hook(heard)
    with sn.doctor(net, optimizer) as doc:
        steps(net, optimizer, x, y)
        net(x)  # and its layers are listened to until a backward pass
        twin = copied(net)
        steps(net, optimizer, x, y)
        assert hooks(net)[0][1] is not heard
    assert [hook for _, hook in hooks(twin)] == [heard] == [hook for _, hook in hooks(net)]
    assert (doc.engine.step, doc.notes) == (6, [])
    assert (nn.Module.__getstate__, scripting.create_script_module) == torchs


def heard(module, args, out):
    """A user's hook."""


def test_a_network_that_says_itself_what_is_pickled_opens_without_snellen():
    net, x_BD = Own(), torch.ones(3, 4)
    with sn.doctor(net) as doc:
        net(x_BD).mean().backward()
        twin = copy.deepcopy(net)
        file = pickle.dumps(dict(net._forward_pre_hooks))
        seen = doc.engine.latest
        assert twin(x_BD).shape == (3, 2)
        assert doc.engine.latest is seen
    code = f"import pickle, sys; pickle.loads({file!r}); print('snellen' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def exported(net, x):
    return [n.target for n in torch.export.export(net, (x,)).graph.nodes]


def strictly(net, x):
    return [n.target for n in torch.export.export(net, (x,), strict=True).graph.nodes]


def traced(net, x):
    return [n.kind() for n in torch.jit.trace(net, x).inlined_graph.nodes()]


def scripted(net, x):
    return [n.kind() for n in torch.jit.script(net).inlined_graph.nodes()]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("given", [exported, strictly, traced, scripted])
def test_an_exported_network_holds_nothing_of_the_doctors(case, given):
    net, optimizer, x, y = case
    plain = given(copy.deepcopy(net).eval(), x)
    with sn.doctor(net, optimizer) as doc:
        steps(net, optimizer, x, y)
        before = len(hooks(net))
        assert given(net.eval(), x) == plain
        assert len(hooks(net)) == before
        steps(net.train(), optimizer, x, y)
    assert (doc.engine.step, doc.notes) == (6, [])


def test_gradients_of_single_samples_stop_no_probe(case):
    net, x, y = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), *case[2:]
    optimizer = torch.optim.SGD(net.parameters(), 0.05)

    def loss(params, x, y):
        return F.cross_entropy(torch.func.functional_call(net, params, (x[None],)), y[None])

    with sn.doctor(net, optimizer) as doc:
        params = {name: p.detach() for name, p in net.named_parameters()}
        grads = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(params, x, y)
        for name, p in net.named_parameters():
            p.grad = grads[name].mean(0)
        optimizer.step()
    assert not doc.notes


ENDS = {
    "save": "torch.save(net, 'net.pt')",
    "export": "print('nodes', len(torch.export.export(net.eval(), (x[:2],)).graph.nodes))",
    "trace": "torch.jit.trace(net.eval(), x[:2]).save('net.pt')",
    "script": "torch.jit.script(net.eval()).save('net.pt')",
}
SCRIPT = """
import torch; from torch import nn
x, y = torch.randn(16, 3, 8, 8), torch.arange(16) % 2
net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
optimizer = torch.optim.SGD(net.parameters(), 0.05)
for _ in range(8):
    optimizer.zero_grad(); nn.functional.cross_entropy(net(x), y).backward(); optimizer.step()
{end}
other = nn.Linear(3, 2)
print(len(torch.export.export(other, (torch.ones(4, 3),)).graph.nodes), "nodes of another")
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("end", ENDS)
def test_a_script_ends_as_without_the_doctor(end, tmp_path, monkeypatch, capsys):
    from snellen.doctor.script import run_script

    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(SCRIPT.format(end=ENDS[end]))
    assert run_script("own.py", fail_on="never") == 0
    said = capsys.readouterr().out
    assert "5 nodes of another" in said
    assert ("nodes 10" in said) == (end == "export")
    assert "stopped" not in said


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("rate", [0.05, 50.0])
def test_a_scripted_network_is_watched_as_any_other(case, rate, tmp_path):
    net, _, x, y = case
    found = []
    for own in (torch.jit.script(copy.deepcopy(net)), net):
        optimizer = torch.optim.SGD(own.parameters(), rate)
        with sn.doctor(own, optimizer, val=[(x, y)]) as doc:
            steps(own, optimizer, x, y, 20)
            with torch.no_grad():
                own(x)
        assert not doc.notes
        found.append([f.id for f in doc.findings if f.level == "error"])
        assert not hooks(own)
    assert found == [["lr-too-high"] if rate > 1 else []] * 2


def test_what_torch_leaves_out_of_copies_is_left_out_of_them(case):
    net, optimizer, *_ = case
    net.compile(backend="eager")
    with sn.doctor(net, optimizer):
        assert copy.deepcopy(net)._compiled_call_impl is None
    assert copy.deepcopy(net)._compiled_call_impl is None
