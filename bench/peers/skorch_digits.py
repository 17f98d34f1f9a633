"""skorch: a network as a scikit-learn estimator."""

import torch
from _digits import arrays, done, lr, network
from skorch import NeuralNetClassifier
from torch import nn

x, y = arrays()
model = NeuralNetClassifier(network, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.SGD,
                            optimizer__momentum=0.9, lr=lr(0.02), max_epochs=4, batch_size=32,
                            iterator_train__shuffle=True)  # fmt: skip
model.fit(x, y)
done(model.module_)
