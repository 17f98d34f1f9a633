"""The tiny MLP of ../tiny_mlp.py in other tools, in a virtual environment that has them.

    python _tiny.py TOOL

Reads a number of epochs a line, trains anew, and answers with the CPU seconds of it; ends at once,
with the reason, where the tool cannot be imported.
"""

import contextlib
import io
import logging
import os
import sys
import tempfile
import time
import warnings

os.environ["KERAS_BACKEND"] = "torch"
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

SAMPLES, BATCH, LR = 12_800, 64, 1e-3


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10))


def data():
    x = torch.randn(SAMPLES, 1, 4, 8)
    return x, (x[:, 0, 0].sum(1) * 3).long() % 10


def loader(x, y):
    return DataLoader(TensorDataset(x, y), BATCH, shuffle=True)


def plain(x, y, epochs):
    net = mlp()
    optimizer = torch.optim.AdamW(net.parameters(), LR)
    batches = loader(x, y)
    for _ in range(epochs):
        for xb, yb in batches:
            optimizer.zero_grad()
            F.cross_entropy(net(xb), yb).backward()
            optimizer.step()


def lightning_default():
    import lightning

    def train(x, y, epochs):
        with tempfile.TemporaryDirectory() as folder:
            trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu",
                                        default_root_dir=folder)  # fmt: skip
            trainer.fit(_module(lightning), loader(x, y))

    return train


def lightning_lean():
    import lightning

    def train(x, y, epochs):
        off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar",
                             "enable_model_summary"), False)  # fmt: skip
        trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", **off)
        trainer.fit(_module(lightning), loader(x, y))

    return train


def _module(lightning):
    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = mlp()

        def training_step(self, batch, batch_idx):
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), LR)

    return Module()


def fabric():
    from lightning.fabric import Fabric

    def train(x, y, epochs):
        tool = Fabric(accelerator="cpu")
        net = mlp()
        net, optimizer = tool.setup(net, torch.optim.AdamW(net.parameters(), LR))
        batches = tool.setup_dataloaders(loader(x, y))
        for _ in range(epochs):
            for xb, yb in batches:
                optimizer.zero_grad()
                tool.backward(F.cross_entropy(net(xb), yb))
                optimizer.step()

    return train


def skorch():
    from skorch import NeuralNetClassifier

    def train(x, y, epochs):
        tool = NeuralNetClassifier(mlp, criterion=nn.CrossEntropyLoss, lr=LR, max_epochs=epochs,
                                   optimizer=torch.optim.AdamW, batch_size=BATCH,
                                   train_split=None, iterator_train__shuffle=True)  # fmt: skip
        tool.fit(x, y)

    return train


def accelerate():
    from accelerate import Accelerator

    def train(x, y, epochs):
        tool = Accelerator(cpu=True)
        net = mlp()
        optimizer = torch.optim.AdamW(net.parameters(), LR)
        net, optimizer, batches = tool.prepare(net, optimizer, loader(x, y))
        for _ in range(epochs):
            for xb, yb in batches:
                optimizer.zero_grad()
                tool.backward(F.cross_entropy(net(xb), yb))
                optimizer.step()

    return train


def keras_torch():
    import keras

    def train(x, y, epochs):
        layers = [keras.layers.Flatten(), keras.layers.Dense(64, activation="relu"),
                  keras.layers.Dense(10)]  # fmt: skip
        net = keras.Sequential([keras.Input((1, 4, 8)), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        net.compile(keras.optimizers.AdamW(LR), loss)
        net.fit(x.numpy(), y.numpy(), batch_size=BATCH, epochs=epochs, shuffle=True)

    return train


TOOLS = {
    "Lightning, default": lightning_default,
    "Lightning, all off": lightning_lean,
    "Lightning Fabric": fabric,
    "skorch": skorch,
    "accelerate": accelerate,
    "Keras on torch": keras_torch,
}


def main(name):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    answer = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        logging.disable(logging.WARNING)
        try:
            train = TOOLS[name]()
        except Exception as error:  # one of theirs lacks, or has another's torchvision
            print(f"{type(error).__name__}: {error}"[:200], file=answer)
            return
        x, y = data()
        print("ready", file=answer, flush=True)
        for line in sys.stdin:
            start = time.process_time()
            train(x, y, int(line))
            print(time.process_time() - start, file=answer, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
