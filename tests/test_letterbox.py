"""A picture in its input: scaled as a whole, padded with what a network sees as nothing."""

import pytest
import torch

from snellen.data.inputs import Inputs
from snellen.data.letterbox import Letterbox

MEAN = (0.6, 0.5, 0.1)


@pytest.mark.parametrize("size", [(30, 64), (64, 20), (15, 32), (200, 100)])
def test_the_padding_is_the_mean_of_each_channel_and_0_once_it_is_prepared(size):
    inputs = Inputs(3, 64, 64, MEAN, (0.2, 0.2, 0.2), "bytes")
    frame = Letterbox(size, (64, 64))
    x = frame.fit(torch.full((3, *size), 200, dtype=torch.uint8), inputs)
    high, wide = frame.inner
    assert x.shape == (3, 64, 64)
    assert x.dtype == torch.uint8
    assert bool((x[:, :high, :wide] == 200).all())
    for side in (x[:, high:], x[:, :, wide:]):
        assert all(set(c.flatten().tolist()) <= {value} for c, value
                   in zip(side, (153, 128, 26), strict=True))  # fmt: skip
    prepared = inputs.prepare(x[None])[0]
    assert float(prepared.flatten(1)[:, -1].abs().max()) < 0.01


def test_floats_are_padded_with_their_mean_too_and_one_channel_is_shown_as_three():
    inputs = Inputs(3, 8, 8, MEAN, (1.0, 1.0, 1.0), "0..1")
    x = Letterbox((4, 8), (8, 8)).fit(torch.ones(1, 4, 8), inputs)
    assert torch.equal(x[:, :4], torch.ones(3, 4, 8))
    assert torch.equal(x[:, 4:], torch.tensor(MEAN)[:, None, None].expand(3, 4, 8))


def test_a_picture_of_the_inputs_size_is_itself():
    image = torch.randint(256, (3, 8, 8), dtype=torch.uint8)
    inputs = Inputs(3, 8, 8, MEAN, (1.0, 1.0, 1.0), "bytes")
    assert torch.equal(Letterbox((8, 8), (8, 8)).fit(image, inputs), image)
