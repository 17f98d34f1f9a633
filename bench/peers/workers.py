"""Two worker processes, started by spawn, and a data set of the script's own."""

import torch
import torch.nn.functional as F
from _digits import arrays, done, lr, network
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    def __init__(self):
        self.x, self.y = arrays()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"image": self.x[i], "label": int(self.y[i])}


def main():
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr(2e-3))
    loader = DataLoader(Digits(), 64, shuffle=True, num_workers=2, persistent_workers=True,
                        multiprocessing_context="spawn")  # fmt: skip
    for _ in range(3):
        for batch in loader:
            optimizer.zero_grad(set_to_none=False)
            F.cross_entropy(net(batch["image"]), batch["label"]).backward()
            optimizer.step()
    done(net)


if __name__ == "__main__":
    main()
