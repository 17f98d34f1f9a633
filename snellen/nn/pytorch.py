"""What PyTorch has is used under its own names: this file only says where each one is.

Layers, activations and initialisers of the notes; what is no more than a setting of another layer
(1x1, depthwise, grouped convolution) says which.
"""

from ..core.parts import Part


def _layer(where: str, about: str, notes: str = "") -> Part:
    return Part("Layers and shapes", where, about, notes)


def _activation(where: str, about: str, notes: str = "") -> Part:
    return Part("Activations", where, about, notes)


def _initialiser(where: str, about: str, notes: str = "") -> Part:
    return Part("Initialisers", where, about, notes)


PARTS = {
    "Fully connected (affine) layer": _layer(
        "torch.nn.Linear", "y = Wx + b; b is the weight of a constant 1", "001 002 003 004"
    ),
    "Convolution": _layer(
        "torch.nn.Conv2d", "W2 = (W1 - F + 2P) / S + 1, rounded down", "001 002 003 004"
    ),
    "im2col and col2im": _layer(
        "torch.nn.Unfold, torch.nn.Fold", "patches as columns, and their adjoint", "004"
    ),
    "1x1 (pointwise) convolution": _layer(
        "torch.nn.Conv2d", "kernel_size=1: a Linear over the channels", "000 002 003 004"
    ),
    "Depthwise convolution": _layer(
        "torch.nn.Conv2d", "groups=channels: one filter a channel", "004"
    ),
    "Grouped convolution": _layer(
        "torch.nn.Conv2d", "groups=g: g convolutions side by side, weights / g", "003"
    ),
    "3-D convolution": _layer(
        "torch.nn.Conv3d", "over depth too; Conv2d already spans all channels", "001"
    ),
    "Transposed convolution": _layer(
        "torch.nn.ConvTranspose2d",
        "the adjoint of a convolution, with weights of its own",
        "001 003",
    ),
    "Dilated convolution": _layer("torch.nn.Conv2d", "dilation=d: holes in the kernel"),
    "Padding": _layer(
        "torch.nn.functional.pad, torch.nn.ReflectionPad2d, torch.nn.ReplicationPad2d, "
        "torch.nn.CircularPad2d",
        "zeros, mirror, edge, wrapped around; padding='same' only at stride 1",
        "001 004",
    ),
    "Max pooling": _layer(
        "torch.nn.MaxPool2d", "largest value; 2x2/2, or overlapping 3x3/2", "001 002 003"
    ),
    "Average pooling": _layer(
        "torch.nn.AvgPool2d, torch.nn.AdaptiveAvgPool2d",
        "mean; padding counts unless count_include_pad=False; AdaptiveAvgPool2d(1) is global",
        "001 004",
    ),
    "Strided convolution in place of pooling": _layer(
        "torch.nn.Conv2d", "stride=2: learned down-sampling", "001 002 003"
    ),
    "Nearest up-sampling": _layer("torch.nn.Upsample", "each value repeated", "003"),
    "Flatten and filter concatenation": _layer(
        "torch.nn.Flatten, torch.cat", "maps into a row; maps side by side", "000 001 004"
    ),
    "Channel shuffle": _layer(
        "torch.nn.ChannelShuffle",
        "channels of g groups interleaved; ChannelShuffle(C / g) undoes it",
        "004",
    ),
    "Batch normalisation": _layer(
        "torch.nn.BatchNorm2d, torch.nn.BatchNorm1d",
        "per channel; running variance is unbiased; momentum is the share of the new batch",
        "000 001 002 003 004",
    ),
    "Layer, instance and group normalisation": _layer(
        "torch.nn.LayerNorm, torch.nn.InstanceNorm2d, torch.nn.GroupNorm", "over other axes"
    ),
    "Inverted dropout": _layer(
        "torch.nn.Dropout", "p is the share DROPPED; the notes' p is the share kept", "001 003"
    ),
    "Spatial dropout": _layer("torch.nn.Dropout2d", "drops whole maps", "003"),
    "Embedding and one-hot": _layer(
        "torch.nn.Embedding, torch.nn.functional.one_hot",
        "an embedding is a Linear of the one-hot vector",
        "001",
    ),
    "Sigmoid": _activation("torch.nn.Sigmoid", "1 / (1 + e^-x)", "001 002 003 004"),
    "Tanh": _activation("torch.nn.Tanh", "2 sigmoid(2x) - 1: zero-centred", "001 003 004"),
    "ReLU": _activation("torch.nn.ReLU", "max(0, x)", "001 002 003 004"),
    "Leaky ReLU": _activation("torch.nn.LeakyReLU", "0.01 x below zero", "003 004"),
    "PReLU": _activation(
        "torch.nn.PReLU", "the slope below zero learned; max(x, ax) only for a <= 1", "004"
    ),
    "ELU": _activation("torch.nn.ELU", "alpha (e^x - 1) below zero", "003"),
    "Softmax": _activation(
        "torch.nn.Softmax", "e^x / sum e^x, the largest x taken off first", "001 003 004"
    ),
    "ReLU6, hard swish": _activation(
        "torch.nn.ReLU6, torch.nn.Hardswish", "min(6, ReLU); x ReLU6(x + 3) / 6", "004"
    ),
    "All zeros": _initialiser(
        "torch.nn.init.zeros_", "for biases; as weights all units stay the same", "001 002 003"
    ),
    "Small Gaussian": _initialiser(
        "torch.nn.init.normal_", "std=0.01: a deep net's activations shrink to 0", "001 002 003"
    ),
    "Xavier (Glorot)": _initialiser(
        "torch.nn.init.xavier_normal_, torch.nn.init.xavier_uniform_",
        "variance 2 / (in + out), for tanh",
        "000 002",
    ),
    "He (Kaiming, MSRA)": _initialiser(
        "torch.nn.init.kaiming_normal_, torch.nn.init.kaiming_uniform_",
        "variance 2 / in with nonlinearity='relu'",
        "000 002 003",
    ),
    "1/sqrt(n) calibration": _initialiser(
        "torch.nn.init.kaiming_normal_",
        "nonlinearity='linear': output variance = input's; the notes print a stray 0.01",
        "003",
    ),
    "Constant bias": _initialiser("torch.nn.init.constant_", "0, or 0.01 before ReLU", "003"),
    "Vanilla RNN": Part(
        "Sequence models", "torch.nn.RNN, torch.nn.RNNCell", "h = tanh(Wh + Ux + b)", "001 003 004"
    ),
    "LSTM": Part(
        "Sequence models",
        "torch.nn.LSTM, torch.nn.LSTMCell",
        "gates i f g o, two biases",
        "003 004",
    ),
}
