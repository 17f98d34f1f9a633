"""A LightningModule, Trainer at its defaults."""

import lightning
import torch
import torch.nn.functional as F
from _digits import dataset, done, lr, network
from torch.utils.data import DataLoader, random_split


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = network()

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_loss", F.cross_entropy(self.net(x), y))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr(2e-3))


train, val = random_split(dataset(), [1400, 397])
trainer = lightning.Trainer(max_epochs=4, accelerator="cpu", enable_progress_bar=False,
                            logger=False, enable_checkpointing=False)  # fmt: skip
classifier = Classifier()
trainer.fit(classifier, DataLoader(train, 32, shuffle=True), DataLoader(val, 128))
done(classifier)
