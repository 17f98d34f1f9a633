"""What every layer of `sn.nn` keeps: types, devices, compilation, gradients, copies."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

import snellen as sn
from snellen.nn.response_norm import response_norm_of

N = sn.nn
LAYERS = {  # name -> (how it is made, the shapes of what it takes)
    "maxout": (lambda: N.Maxout(3, 4, 3), [(2, 3)]),
    "reorg": (lambda: N.Reorg(2), [(2, 3, 4, 6)]),
    "pyramid": (lambda: N.SpatialPyramidPool((3, 1)), [(2, 2, 5, 4)]),
    "drop_connect": (lambda: N.DropConnect(nn.Linear(3, 4), 0.5), [(2, 3)]),
    "drop_connect_conv": (lambda: N.DropConnect(nn.Conv2d(2, 3, 2), 0.5), [(2, 2, 4, 4)]),
    "vanilla_dropout": (lambda: N.VanillaDropout(0.5), [(3, 5)]),
    "pad_same": (lambda: N.PadSame(4, 2), [(1, 2, 5, 4)]),
    "response_norm": (response_norm_of, [(2, 6, 2, 2)]),
    "peephole": (lambda: N.PeepholeLSTMCell(3, 4), [(2, 3)]),
    "coupled": (lambda: N.CoupledLSTMCell(3, 4), [(2, 3)]),
    "reset_before": (lambda: N.ResetBeforeGRUCell(3, 4), [(2, 3)]),
    "masked": (lambda: N.MaskedConv2d(2, 4, 3, "A", colours=2), [(2, 2, 3, 4)]),
    "row_lstm": (lambda: N.RowLSTM(2, 2), [(2, 2, 3, 4)]),
    "diagonal_lstm": (lambda: N.DiagonalBiLSTM(2, 2), [(2, 2, 3, 2)]),
    "recurrent": (lambda: N.Recurrent(N.PeepholeLSTMCell(3, 4)), [(2, 4, 3)]),
    "attention": (lambda: N.AdditiveAttention(3, 4, 5), [(2, 3), (2, 6, 4)]),
}


class CosineSoftmax(nn.Module):
    """AM-softmax with the layer that it stands on."""

    def __init__(self):
        super().__init__()
        self.last = N.CosineLinear(8, 4, scale=1.0)

    def forward(self, features_BD, labels_B):
        return N.am_softmax(self.last(features_BD), labels_B)


LOSSES = {  # of features and labels, with class vectors of their own
    "l_softmax": lambda: N.LSoftmax(4, 8, margin=4),
    "a_softmax": lambda: N.ASoftmax(4, 8, start=0.0, least=0.0),
    "am_softmax": CosineSoftmax,
    "center": lambda: N.CenterLoss(4, 8),
}
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def make(name, dtype=torch.float64, device="cpu", **kwargs):
    build, shapes = LAYERS[name]
    torch.manual_seed(0)
    layer = build().to(device=device, dtype=dtype)
    inputs = [torch.randn(shape, dtype=dtype, device=device, **kwargs) for shape in shapes]
    return layer, inputs


def leaves(out):
    return list(itertools.chain(*map(leaves, out))) if isinstance(out, tuple) else [out]


def seeded(layer, *inputs):
    """The layer under one fixed random mask, as finite differences need it."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return tuple(leaves(layer(*inputs)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_inputs_and_parameters_are_right(name, training):
    layer, inputs = make(name, requires_grad=True)
    layer.train(training)
    names = [n for n, _ in layer.named_parameters()]

    def call(*values):
        given = dict(zip(names, values[len(inputs) :], strict=True))
        return seeded(
            lambda *x: torch.func.functional_call(layer, given, x), *values[: len(inputs)]
        )

    assert torch.autograd.gradcheck(call, (*inputs, *layer.parameters()), fast_mode=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "name", sorted(LAYERS.keys() - {"response_norm"})
)  # PyTorch's: none in fp16 here
def test_type_and_device_stay(name, dtype, device):
    layer, inputs = make(name, dtype, device)
    wide, wide_inputs = make(name)
    outs, wanted = seeded(layer.eval(), *inputs), seeded(wide.eval(), *wide_inputs)
    for out, want in zip(outs, wanted, strict=True):
        assert out.dtype == dtype
        assert out.device.type == device
        assert out.shape == want.shape
        assert out.isfinite().all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LAYERS)
def test_autocast_gives_nearly_the_same(name, device):
    layer, inputs = make(name, torch.float32, device)
    plain = seeded(layer.eval(), *inputs)
    with torch.autocast(device, torch.bfloat16):
        mixed = seeded(layer, *inputs)
    for a, b in zip(plain, mixed, strict=True):
        torch.testing.assert_close(a, b.float(), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LOSSES)
def test_autocast_gives_nearly_the_same_loss_and_gradient(name, device):
    found = {}
    labels_B = torch.tensor([0, 1, 2, 3, 1], device=device)
    for mixed in (False, True):
        torch.manual_seed(0)
        loss = LOSSES[name]().to(device)
        x_BD = torch.randn(5, 8, device=device).requires_grad_()
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            value = loss(x_BD, labels_B)
        value.backward()
        assert value.dtype == torch.float32
        found[mixed] = value.detach(), x_BD.grad
    torch.testing.assert_close(found[True], found[False], atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name", LAYERS)
def test_it_compiles_whole(name):
    layer, inputs = make(name, torch.float32)
    layer.eval()
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    for a, b in zip(leaves(compiled(*inputs)), leaves(layer(*inputs)), strict=True):
        torch.testing.assert_close(a, b)
    layer.train()
    compiled(*inputs)  # no graph break in training either


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"center"}))
def test_losses_compile_whole_and_once(name):
    loss = LOSSES[name]()
    if name == "a_softmax":
        loss.start, loss.least = 1000.0, 5.0
    x_BD, labels_B = torch.randn(5, 8), torch.tensor([0, 1, 2, 3, 1])
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(copy.deepcopy(loss), backend=counter, fullgraph=True)
    for _ in range(3):
        torch.testing.assert_close(compiled(x_BD, labels_B), loss(x_BD, labels_B))
    assert counter.frame_count == 1


@pytest.mark.parametrize("name", LAYERS)
def test_shapes_flow_on_meta_and_copies_agree(name):
    layer, inputs = make(name)
    on_meta = copy.deepcopy(layer).to("meta")(*(x.to("meta") for x in inputs))
    layer.eval()
    outs = leaves(layer(*inputs))
    assert [o.shape for o in leaves(on_meta)] == [o.shape for o in outs]
    other, _ = make(name)
    for p in other.parameters():
        nn.init.zeros_(p)
    other.load_state_dict(layer.state_dict())
    assert all(map(torch.equal, leaves(other.eval()(*inputs)), outs))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: N.Maxout(2, 2, 0),
        lambda: N.largest_piece(torch.zeros(1, 3), 2),
        lambda: N.Reorg()(torch.zeros(1, 1, 3, 4)),
        lambda: N.depth_to_space(torch.zeros(1, 3, 2, 2)),
        lambda: N.bed_of_nails(torch.zeros(1, 1, 2, 2), 0),
        lambda: N.unpool_maxima(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 2).long(), (4, 4)),
        lambda: N.SpatialPyramidPool(()),
        lambda: N.SpatialPyramidPool((2, 0)),
        lambda: N.DropConnect(nn.Linear(2, 2), 1.0),
        lambda: N.DropConnect(nn.ReLU()),
        lambda: N.VanillaDropout(0.0),
        lambda: N.same_padding(4, 0),
        lambda: response_norm_of("tensorflow"),
        lambda: N.sparse_fan_in_(torch.empty(3, 4), 5),
        lambda: N.sparse_fan_in_(torch.empty(3)),
        lambda: N.grow_from(nn.Linear(2, 2), nn.Linear(2, 3)),
        lambda: N.conv_from_linear(nn.Linear(10, 2), (3, 3)),
        lambda: N.convolutional_head(nn.Sequential(nn.Flatten(), nn.Linear(4, 2))),
        lambda: N.convolutional_head(nn.Sequential(nn.Softmax(1))),
        lambda: N.convolutional_head(nn.AdaptiveAvgPool2d((None, 3))),
        lambda: N.field_of_stack([3, 3], [1]),
        lambda: N.field_by_gradient(nn.Flatten(), (1, 4, 4)),
        lambda: N.field_by_gradient(nn.Threshold(5.0, 0.0), (1, 4, 4)),
        lambda: N.Recurrent(nn.RNNCell(2, 2), truncate=0),
        lambda: N.Recurrent(nn.RNNCell(2, 2))(torch.zeros(3, 2)),
        lambda: N.Recurrent(nn.RNNCell(2, 2))(torch.zeros(3, 0, 2)),
        lambda: N.AdditiveAttention(2, 2, 2)(torch.zeros(1, 2), torch.zeros(2, 3, 2)),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_in_words(wrong):
    with pytest.raises(sn.SnellenError) as caught:
        wrong()
    assert len(str(caught.value)) > 20
