"""What a network is given to predict becomes what it was trained on, or is refused."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from snellen.core.errors import DataError, UsageError
from snellen.data.inputs import Inputs
from snellen.data.sample import Sample, Target
from snellen.data.sets import ArraySet
from snellen.serve.predict import Predictor
from snellen.tasks.classify import Classify
from snellen.tasks.compute import Compute

BYTES = np.random.RandomState(0).randint(0, 256, (6, 8, 8)).astype(np.uint8)


def predictor(x_NCHW, size=None):
    """A network that was trained on such images, as far as its inputs tell."""
    x_NCHW = torch.as_tensor(x_NCHW)
    labels_N = torch.arange(len(x_NCHW)) % 3
    inputs = Inputs.of(ArraySet(x_NCHW, labels_N), size)
    spec = {"classes": ["a", "b", "c"], "inputs": Inputs(**inputs.as_dict()).as_dict()}
    torch.manual_seed(0)
    values = inputs.channels * inputs.height * inputs.width
    net = nn.Sequential(nn.Flatten(), nn.Linear(values, 3))
    return Predictor(net, Classify(spec), Compute.of("cpu"))


def scores(predictor, images):
    return torch.stack([found.scores_K for found in predictor.images(images)])


@pytest.fixture(scope="module")
def of_bytes():
    return predictor(BYTES[:, None])


@pytest.mark.parametrize(
    "same",
    [BYTES.astype(np.float32), BYTES.astype(np.float64) / 255, BYTES.astype(np.int64),
     BYTES.astype(np.int16), BYTES.astype(np.uint16) * 256 + 3, BYTES.astype(">f4"),
     torch.from_numpy(BYTES).half(), list(BYTES.astype(np.float32) / 255), BYTES[:, ::-1][:, ::-1],
     [Image.fromarray(one) for one in BYTES], BYTES[:, None], BYTES[..., None]],
)  # fmt: skip
def test_pixels_are_the_same_in_any_type(of_bytes, same):
    assert torch.equal(scores(of_bytes, same), scores(of_bytes, BYTES))


class Samples(Dataset):
    """The pictures alone, or as samples."""

    def __init__(self, of):
        self.of = of

    def __len__(self):
        return len(BYTES)

    def __getitem__(self, i):
        return self.of(BYTES[i])


@pytest.mark.parametrize(
    "wrap",
    [lambda data: data, lambda data: Subset(data, range(6)),
     lambda data: DataLoader(data, batch_size=4, shuffle=True)],
)  # fmt: skip
def test_the_pictures_of_a_data_set_are_those_of_its_rows(of_bytes, wrap):
    pairs = TensorDataset(torch.from_numpy(BYTES)[:, None], torch.zeros(6))
    same = [pairs, Samples(lambda x: x), Samples(lambda x: (Image.fromarray(x), 1)),
            Samples(lambda x: Sample(torch.from_numpy(x)[None], Target()))]  # fmt: skip
    for data in same:
        assert torch.equal(scores(of_bytes, wrap(data)), scores(of_bytes, BYTES))
    with pytest.raises(DataError, match=r"\[0\] raised ZeroDivisionError"):
        of_bytes.images(wrap(Samples(lambda x: 1 / 0)))


def test_a_folder_is_the_pictures_in_and_under_it_in_order(of_bytes, tmp_path):
    (tmp_path / "b").mkdir()
    for name, one in zip(("a.png", "b/c.png", "d.png"), BYTES, strict=False):
        Image.fromarray(one).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    for folder in (tmp_path, str(tmp_path), [tmp_path / "a.png", tmp_path / "b", BYTES[2]]):
        assert torch.equal(scores(of_bytes, folder), scores(of_bytes, BYTES[:3]))
    for folder in ([tmp_path], tmp_path, str(tmp_path)):
        told = [row["file"] for row in of_bytes.rows(folder)]
        assert told == [str(tmp_path / name) for name in ("a.png", "b/c.png", "d.png")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no picture"):
        of_bytes.images(tmp_path / "empty")


def test_what_the_floats_of_one_call_are_is_decided_for_all(of_bytes):
    """A dark picture among others is dark; alone it is a picture in 0..1."""
    dark = np.eye(8, dtype=np.uint8)
    both = np.stack([BYTES[0], dark])
    assert torch.equal(scores(of_bytes, both.astype(np.float32)), scores(of_bytes, both))
    assert torch.equal(scores(of_bytes, dark.astype(np.float32)), scores(of_bytes, dark * 255))


@pytest.mark.parametrize(
    ("strange", "words"),
    [((BYTES / 127.5 - 1).astype(np.float32), r"trained on pixels of 8 bit.* float32 -1\.\.1"),
     (BYTES * 1.7, r"float64 0\.\.43\d"), (BYTES * 0.5, "float64"),
     (BYTES.astype(int) + 9, "int64"),
     (np.full((8, 8), np.nan), r"nan\.\.nan"), (np.zeros((2, 2, 2, 2, 2)), "2, 3 or 4 axes"),
     (np.array(["a"] * 4), "numbers are wanted")],
)  # fmt: skip
def test_numbers_in_doubt_are_refused(of_bytes, strange, words):
    with pytest.raises((UsageError, DataError), match=words):
        of_bytes.images(strange)


@pytest.mark.parametrize(
    "empty", [np.zeros((0, 10, 3), np.uint8), torch.zeros(3, 8, 0), Image.new("RGB", (0, 9))]
)
def test_a_picture_without_a_pixel_is_refused(of_bytes, empty):
    with pytest.raises(DataError, match="holds no pixel"):
        of_bytes.images([empty])


def test_a_network_of_floats_is_given_floats(tmp_path):
    unit, own = BYTES[:, None] / np.float32(255), BYTES[:, None].astype(np.float32) - 127
    assert predictor(unit).task.spec["inputs"]["pixels"] == "0..1"
    Image.fromarray(BYTES[0]).save(tmp_path / "a.png")
    for given in (BYTES, [Image.fromarray(one) for one in BYTES]):
        assert torch.equal(scores(predictor(unit), given), scores(predictor(unit), unit))
    with_file = scores(predictor(unit), tmp_path / "a.png")
    assert torch.equal(with_file, scores(predictor(unit), unit[:1]))
    net = predictor(own)
    assert torch.equal(scores(net, own[:, 0]), scores(net, list(own)))
    assert torch.equal(scores(net, own.astype(np.int64)), scores(net, own))
    for given in (BYTES, Image.fromarray(BYTES[0]), tmp_path / "a.png"):
        with pytest.raises(UsageError, match="floats that you prepared"):
            net.images(given)
    with pytest.raises(UsageError, match="floats that you prepared"):
        list(net.files([tmp_path / "a.png"]))


def test_training_and_evaluation_do_not_mix_kinds_either():
    floats = torch.from_numpy(BYTES)[:, None].float()
    for trained, judged in (
        (BYTES[:, None], floats - 1),
        (floats - 1, torch.from_numpy(BYTES)[:, None]),
    ):
        task = predictor(trained).task
        with pytest.raises(DataError, match=r"trained on (?!.*floats in 0\.\.1)"):
            task.encode([ArraySet(judged, torch.zeros(6, dtype=torch.int64))[0]])


def test_a_spec_of_before_is_read_as_before():
    old = {"channels": 1, "height": 8, "width": 8, "mean": [0.5], "std": [0.25]}
    inputs = Inputs(**old)
    for image in (torch.zeros(1, 8, 8, dtype=torch.uint8), torch.zeros(1, 8, 8)):
        assert inputs.fit(inputs.as_trained([image])[0]).dtype == image.dtype


@pytest.mark.parametrize(
    ("channels", "size", "shape", "count"),
    [(1, 28, (28, 28), 1), (1, 28, (3, 28, 28), 3), (1, 28, (4, 28, 28), 4),
     (1, 28, (1, 28, 28), 1),
     (1, 28, (28, 28, 1), 1), (1, 28, (40, 30, 3), 1), (1, 28, (5, 40, 30), 5),
     (1, 3, (9, 3, 3), 9), (3, 28, (3, 28, 28), 1), (3, 28, (28, 28, 3), 1), (3, 28, (28, 28), 1),
     (3, 28, (5, 28, 28), 5), (3, 28, (1, 28, 28), 1), (3, 28, (7, 3, 28, 28), 7),
     (3, 28, (7, 28, 28, 3), 7), (4, 16, (16, 16, 4), 1), (4, 16, (4, 16, 16), 1),
     (4, 16, (5, 16, 16, 4), 5), (4, 16, (5, 16, 16), 5), (5, 16, (16, 16, 5), 1),
     (1, 28, (0, 28, 28), 0)],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_axes_are_told_by_the_channels_of_the_run(channels, size, shape, count, kind):
    net = predictor(np.zeros((3, channels, size, size), np.uint8))
    given = np.zeros(shape, np.uint8)
    assert len(net.images(given if kind == "numpy" else torch.from_numpy(given))) == count


def test_layouts_of_one_colour_picture_say_the_same():
    colour = np.random.RandomState(1).randint(0, 256, (2, 3, 8, 8)).astype(np.uint8)
    net, last = predictor(colour), np.moveaxis(colour, 1, -1)
    wanted = scores(net, colour)
    pictures = [Image.fromarray(one) for one in last]
    turned = Image.fromarray(last[0]).transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    for given in (
        last,
        list(colour),
        list(last),
        pictures,
        torch.from_numpy(last),
        [turned, last[1]],
    ):
        assert torch.equal(scores(net, given), wanted)
    with pytest.raises(DataError, match=r"4 channels cannot be read as 3; x\[\.\.\., :3\]"):
        net.images(np.zeros((8, 8, 4), np.uint8))


@pytest.mark.parametrize(("side", "most"), [(8, 64), (512, 4)])
def test_large_pictures_are_predicted_few_at_a_time(side, most):
    read = []

    def samples():
        for i in range(70):
            read.append(i)
            yield Sample(torch.zeros(1, 8, 8, dtype=torch.uint8), Target())

    next(predictor(BYTES[:, None], side).samples(samples()))
    assert len(read) == most
