"""Layers are made of the same random numbers every time."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded_layers() -> None:
    torch.manual_seed(0)
