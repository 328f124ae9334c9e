"""What the protocol's models take and how many parameters they have."""

from __future__ import annotations

SHAPES = {"digits_cnn": (1, 8, 8), "mnist_cnn": (1, 28, 28), "cifar_cnn": (3, 32, 32), "scatter_linear": (15_552, 1, 1)}
PARAMETERS = {"digits_cnn": 9_370, "mnist_cnn": 26_010, "cifar_cnn": 550_570, "scatter_linear": 155_530}
