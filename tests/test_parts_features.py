"""Every row of the notes' list of parts has its place: names in the catalogue, or a walk by hand.

A value lists what answers for the row; `by hand:` begins a topic of `python -m snellen.byhand`.
"""

import re

import pytest

from snellen.byhand.__main__ import topics
from snellen.core.parts import GROUPS, catalogue
from snellen.doctor.check import all_checks

CATALOGUE = catalogue()
PARTS = {name: part for parts in CATALOGUE.values() for name, part in parts.items()}
BY_HAND = "by hand: "
ROWS = {
    "Layers and shapes": {
        "Fully connected / affine layer": ["Fully connected (affine) layer", "by hand: linear"],
        "2-D convolution (kernel, stride, zero padding, depth)":
            ["Convolution", "Output size of a convolution", "by hand: conv"],
        "Conv as im2col + matmul + col2im": ["im2col and col2im", "by hand: conv"],
        "1x1 / pointwise convolution": ["1x1 (pointwise) convolution"],
        "Depthwise convolution": ["Depthwise convolution"],
        "Grouped convolution (2 GPUs of AlexNet)": ["Grouped convolution"],
        "3-D convolution over the channel volume": ["3-D convolution"],
        "Transposed convolution": ["Transposed convolution", "by hand: transposed"],
        "Dilated convolution (adjacent, not named by seeds)": ["Dilated convolution"],
        "Padding modes (zero/valid/same/full, reflect, replicate, circular)":
            ["Padding", "Same padding"],
        "Max pooling (2x2/2, overlapping 3x3/2)": ["Max pooling", "Max unpooling", "by hand: pool"],
        "Average pooling / global average pooling (7x7)": ["Average pooling", "by hand: pool"],
        "Strided conv instead of pooling": ["Strided convolution in place of pooling"],
        "FC <-> conv conversion": ["FC <-> convolution"],
        "Receptive field and small-filter stacks (3 x 3x3 = 7x7)": ["Receptive field"],
        "Parameter and MAC counter (the 'F*F*D*K+K', 'HWCDKK' formulas)":
            ["Parameter and multiply-add counter"],
        "Memory per layer ('most memory in early conv, most params in FC')": ["Memory per layer"],
        "Flatten / concat (filter concat)": ["Flatten and filter concatenation"],
        "Channel shuffle": ["Channel shuffle"],
        "Batch normalisation": ["Batch normalisation", "by hand: batch_norm"],
        "BN population statistics (average over all batches, not EMA)":
            ["Batch norm's population statistics", "by hand: batch_norm"],
        "Layer / Instance / Group norm (adjacent)":
            ["Layer, instance and group normalisation", "by hand: layer_norm"],
        "Local response normalisation (AlexNet, GoogLeNet, ZFNet)":
            ["Local response normalisation", "by hand: response_norm"],
        "Dropout (vanilla: scale at test)": ["Vanilla dropout", "by hand: dropout"],
        "Inverted dropout": ["Inverted dropout", "by hand: dropout"],
        "Spatial dropout (drop channels)": ["Spatial dropout", "by hand: dropout"],
        "DropConnect": ["DropConnect"],
        "Embedding / one-hot input": ["Embedding and one-hot"],
    },
    "Activations": {
        "Sigmoid": ["Sigmoid", "by hand: activations"],
        "Tanh": ["Tanh", "by hand: activations"],
        "ReLU": ["ReLU", "by hand: activations"],
        "Leaky ReLU": ["Leaky ReLU", "by hand: activations"],
        "PReLU": ["PReLU", "by hand: activations"],
        "ELU": ["ELU", "by hand: activations"],
        "Maxout": ["Maxout", "by hand: maxout"],
        "Softmax (max-shifted)": ["Softmax", "by hand: softmax"],
        "ReLU6 / h-swish (MobileNet v2)": ["ReLU6, hard swish"],
    },
    "Initialisers": {
        "All-zero (the wrong one)": ["All zeros"],
        "Small Gaussian 0.01": ["Small Gaussian"],
        "1/sqrt(n) calibration": ["1/sqrt(n) calibration"],
        "Xavier/Glorot": ["Xavier (Glorot)"],
        "He / Kaiming / MSRA ('mars')": ["He (Kaiming, MSRA)"],
        "Sparse (fixed fan-in, e.g. 10)": ["Sparse initialisation"],
        "Bias 0 / bias 0.01": ["Constant bias"],
        "Pre-trained / layer-wise growth (VGG-11 -> 16/19)": ["Layer-wise growth"],
    },
    "Losses": {
        "Cross-entropy, binary (logistic)":
            ["Cross-entropy, binary (logistic)", "by hand: cross_entropy"],
        "Cross-entropy, softmax": ["Cross-entropy, softmax", "by hand: cross_entropy"],
        "Multiclass SVM hinge (Weston-Watkins, delta)":
            ["Multiclass SVM hinge (Weston-Watkins)", "by hand: hinge"],
        "Squared hinge (L2-SVM)": ["Squared hinge (L2-SVM)", "by hand: hinge"],
        "Structured note: SVM is local ([10,-100,-100] vs [10,9,9])":
            ["Multiclass SVM hinge (Weston-Watkins)"],
        "Per-attribute hinge (multi-label, y=+-1)": ["Per-attribute hinge"],
        "Per-attribute logistic (multi-label)": ["Per-attribute logistic"],
        "Squared error L2 / L1 regression":
            ["Squared error (L2)", "Absolute error (L1)", "by hand: regression"],
        "Smooth L1 / Huber (Fast R-CNN)": ["Smooth L1 / Huber"],
        "KL divergence": ["KL divergence", "KL divergence of Gaussians"],
        "Information entropy": ["Information entropy"],
        "Focal/other (adjacent)": ["Focal loss", "Label smoothing"],
        "Center loss": ["Center loss"],
        "Contrastive loss": ["Contrastive loss"],
        "L-softmax (large margin)": ["L-softmax (large margin)", "Margin function psi"],
        "A-softmax / SphereFace ('angloe')":
            ["A-softmax (SphereFace)", "Annealing of A-softmax"],
        "AM-softmax / CosFace ('AM loss')": ["AM-softmax (CosFace)"],
        "Regularisation loss added ('data loss + lambda R(W)')":
            ["Full loss", "by hand: regularisers"],
    },
    "Regularisers": {
        "L2 / weight decay (1/2 lambda w^2; lambda/2m; lambda w^2)":
            ["L2 / weight decay", "by hand: regularisers"],
        "L1": ["L1", "Soft threshold", "by hand: regularisers"],
        "Elastic net": ["Elastic net", "by hand: regularisers"],
        "Max-norm (projected, c=3 or 4)": ["Max-norm", "by hand: regularisers"],
        "Early stopping": ["Early stopping"],
        "Data augmentation as regulariser; input noise": ["Augmentation and input noise"],
    },
    "Optimisers": {
        "BGD (full batch)": ["Batch gradient descent", "by hand: descent"],
        "SGD (batch 1) and mini-batch SGD": ["SGD, mini-batch SGD", "by hand: descent"],
        "Momentum (v=rho v+g)": ["Momentum", "Momentum as in Caffe", "by hand: momentum"],
        "Momentum schedule 0.5 -> 0.99": ["Momentum schedule"],
        "Nesterov (look-ahead and substituted form)": ["Nesterov momentum", "by hand: momentum"],
        "AdaGrad": ["AdaGrad", "by hand: adaptive"],
        "RMSProp": ["RMSProp", "by hand: adaptive"],
        "Adadelta": ["Adadelta", "by hand: adaptive"],
        "Adam (almost) and Adam (full, bias-corrected)":
            ["Adam (almost)", "Adam", "by hand: adaptive"],
        "Exponentially weighted average":
            ["Exponentially weighted average", "Average of the weights (EMA)"],
        "Newton / quasi-Newton / L-BFGS": ["Newton's method", "L-BFGS", "by hand: newton"],
        "Random search (random points)": ["Random search"],
        "Random local search": ["Random local search"],
        "Follow the gradient (numerical)": ["Follow the numerical gradient"],
        "Multi-GPU / data-parallel note": ["Data parallel (several GPUs)"],
    },
    "Gradients and checks": {
        "Backprop by hand for FC+activation, conv, pool":
            ["Backpropagation by hand", "by hand: linear", "by hand: conv", "by hand: pool"],
        "Numerical gradient: forward and centred difference":
            ["Numerical gradient", "by hand: gradients"],
        "Gradient checker with the notes' thresholds": ["Gradient checker", "by hand: gradients"],
        "-- double precision; kinks; step h 1e-4..1e-6; few data points; after warm-up; "
        "regulariser off then alone; dropout/augment seed frozen; sample dims per parameter":
            ["Gradient check, the nine rules"],
        "Vanishing / exploding gradients":
            ["Vanishing and exploding gradients", "by hand: network"],
        "Gradient clipping": ["Gradient clipping"],
        "Weight-update ratio ~1e-3": ["Weight-update ratio"],
        "Activation and gradient histograms per layer": ["Activations and gradients by layer"],
        "Initial-loss check": ["Initial loss"],
        "Overfit a tiny subset (20 samples) to ~0": ["Overfitting 20 samples"],
        "Loss-curve reading (lr too low / high / NaN)": ["Reading a loss curve"],
        "Train/val gap reading": ["Gap between training and validation"],
        "First-layer filter quality (noisy vs smooth)": ["First-layer filters"],
        "NaN analysis: bad sample, log(0), batch_size=1 shuffle=False bisect":
            ["Where a NaN comes from"],
        "Dead ReLU rate (e.g. 40%)": ["Dead ReLU rate"],
        "Zero-centred activations / zig-zag": ["Zero-centred inputs"],
    },
    "Schedules": {
        "Step decay (halve every k)": ["Step decay"],
        "Exponential decay a0 e^-kt": ["Exponential decay"],
        "1/t decay a0/(1+kt)": ["1/t decay"],
        "Adam 'auto decay'": ["Adam's own decay"],
        "Decay after watching the loss (plateau)": ["Decay after watching the loss"],
        "Warm-up, cosine (adjacent)": ["Warm-up and cosine", "Cosine"],
    },
    "Preprocessing, data": {
        "Zero-mean centring, scale to [-1,1], divide by std":
            ["Zero-mean centring", "Scaling to [-1, 1]", "Standardising"],
        "L2 norm of samples": ["L2 norm of samples"],
        "PCA": ["PCA"],
        "Whitening": ["Whitening"],
        "Same image size, class balance, label whitespace": ["Dirty data", "Class balance"],
        "Train/val/test split; k-fold (3,5,10)":
            ["Train/val/test split", "k-fold cross-validation"],
        "Dataset loading ('how are data loaded, principle'), batches": ["Loading data"],
        "tf.data / Keras Dataset": ["from_tensor_slices"],
        "Label formats for YOLO (what annotations)": ["Label formats of boxes"],
        "Positive/negative samples, ground truth": ["Positive and negative samples"],
        "Downsampling / resize": ["Resize, down-sampling", "Zone plate"],
    },
    "Augmentations": {
        "Horizontal mirror / vertical flip": ["Horizontal mirror, vertical flip"],
        "Random crop / centre crop": ["Random crop, centre crop"],
        "Scaling / multi-scale": ["Scaling", "Multi-scale training"],
        "Rotation": ["Rotation"],
        "Colour shift / PCA lighting / jitter": ["PCA colour shift (lighting)", "Colour jitter"],
        "Noise": ["Gaussian noise"],
        "Test-time crops (10-crop; adjacent)": ["Test-time crops (five, ten)"],
    },
    "Sequence models": {  # of those that are no tasks
        "Vanilla RNN": ["Vanilla RNN", "by hand: rnn"],
        "LSTM": ["LSTM", "by hand: lstm"],
        "Peephole LSTM (variant 1)": ["Peephole LSTM", "by hand: peephole"],
        "Coupled input/forget (variant 2)": ["LSTM with coupled gates", "by hand: coupled"],
        "GRU": ["GRU", "by hand: gru"],
        "1:1, 1:n, n:1, n:m, synced n:n": ["Cell over a sequence"],
        "BPTT formulas (U, V, W)": ["by hand: rnn"],
        "Truncated BPTT": ["Truncated backpropagation through time", "by hand: rnn"],
        "RNN vanishing/exploding analysis": ["Vanishing and exploding gradients", "by hand: rnn"],
        "char-RNN, sampling by probability (not argmax), temperature":
            ["Character model (char-RNN)", "Sampling by probability and temperature"],
        "Seq2seq, decoder 1 plain (context every step, no feedback)": ["Seq2seq decoder 1, plain"],
        "Seq2seq, decoder 2 feedback (context as initial state only)":
            ["Seq2seq decoder 2, feedback"],
        "Seq2seq, decoder 3 peek (feedback + context each step)": ["Seq2seq decoder 3, peek"],
        "Seq2seq, decoder 4 attention (Bahdanau)": ["Seq2seq decoder 4, attention"],
    },
}  # fmt: skip
ALL = [(group, row) for group, rows in ROWS.items() for row in rows]


@pytest.mark.parametrize(("group", "row"), ALL)
def test_row_has_its_place(group, row):
    topics_by_hand = topics()
    for name in ROWS[group][row]:
        if name.startswith(BY_HAND):
            assert name.removeprefix(BY_HAND) in topics_by_hand
        else:
            assert name in PARTS


def test_checks_that_the_catalogue_names_are_there():
    named = {word for part in PARTS.values() if part.group == "Gradients and checks"
             for word in re.findall(r"`([a-z]+(?:-[a-z0-9]+)+)`", part.about)}  # fmt: skip
    assert len(named) > 15
    assert named <= all_checks().keys()


def test_the_list_is_that_of_the_notes(shared_data):
    """Where the list itself lies beside the data: no row is forgotten here, none made up."""
    page = shared_data.parent / "FEATURES.md"
    if not page.is_file():
        pytest.skip("the list of the notes' parts is not there")
    groups: dict[str, list[str]] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            rows = groups.setdefault(line[3:].strip(), [])
        elif line.startswith("| ") and not line.startswith("| name"):
            rows.append(re.split(r"(?<!\\)\|", line)[1].strip())
    for group, rows in ROWS.items():
        there = groups[group]
        assert list(rows) == there[: len(rows)]
        assert len(rows) == len(there) or group == "Sequence models"
        assert group.removesuffix(", data") in GROUPS
