"""The perceptron's training written plainly with torch.nn, for comparison."""

import numpy as np
import torch
from torch import nn


class GivenDropout(nn.Module):
    """Dropout whose masks come from outside: `mask` holds the kept units of the batch."""

    def __init__(self, share):
        super().__init__()
        self.share, self.mask = share, None

    def forward(self, x):
        return x * self.mask / (1 - self.share) if self.training else x


def perceptron(n_features, n_classes, dropout=lambda: nn.Dropout(0.2)):
    """100-60-30 with GELU and dropout after each hidden layer."""
    sizes = (n_features, 100, 60, 30)
    hidden = [(nn.Linear(a, b), nn.GELU(), dropout()) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    return nn.Sequential(*(module for layer in hidden for module in layer), nn.Linear(30, n_classes))


def set_layers(model, layers):
    """Give the linear layers weights and biases."""
    linears = [module for module in model if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for linear, (weight, bias) in zip(linears, layers, strict=True):
            linear.weight.copy_(torch.tensor(weight))
            linear.bias.copy_(torch.tensor(bias))


def get_layers(model):
    """Weights and biases of the linear layers as arrays."""
    linears = [module for module in model if isinstance(module, nn.Linear)]
    return [(linear.weight.detach().numpy().copy(), linear.bias.detach().numpy().copy()) for linear in linears]


def train_epochs(model, x, y, weights, orders, masks=None, optimizer=None):
    """Train over `orders` (one array of rows an epoch) in batches of eight; the loss of every step.

    masks: for each epoch, bool (places, 190): the kept units of the 100, 60 and 30.
    """
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    criterion = nn.CrossEntropyLoss(weight=torch.tensor(weights, dtype=torch.float32))
    optimizer = optimizer or torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4)
    dropouts = [module for module in model if isinstance(module, GivenDropout)]
    model.train()
    losses = []
    for epoch, order in enumerate(orders):
        for start in range(0, len(order), 8):
            rows = order[start : start + 8]
            if masks is not None:
                kept = torch.tensor(masks[epoch][start : start + len(rows)].astype(np.float32))
                for dropout, mask in zip(dropouts, torch.split(kept, (100, 60, 30), dim=1), strict=True):
                    dropout.mask = mask
            optimizer.zero_grad()
            loss = criterion(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return np.array(losses)
