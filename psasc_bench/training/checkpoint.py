"""Checkpoints: the state of an unfinished run in one file, written whole or not at all, read without unpickling.

A file is an uncompressed ``.npz`` of the state's tensors and, as JSON, its numbers and the *identity* of the run. The
checksums of the format tell a damaged file; the identity tells a file that some other run left behind.
"""

from __future__ import annotations

import json
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from psasc_bench.files import replacing

FORMAT = 1
DAMAGE = (
    *(OSError, EOFError, zipfile.BadZipFile, MemoryError, RecursionError, NotImplementedError),
    *(ValueError, KeyError, TypeError, AttributeError),
)
Numbers = dict[str, Any]
Tensors = dict[str, Tensor]


@dataclass
class Checkpoint:
    """Where one run keeps its state. ``identity``, as JSON, is all that the state is a function of, besides how far the
    run has come; ``seconds`` is the least time between two writings."""

    path: Path
    identity: Mapping[str, Any]
    seconds: float = 60.0
    _written: float = field(default_factory=time.monotonic, init=False)

    def load(self) -> tuple[Numbers, Tensors] | None:
        """The state last saved; ``None``, with a warning on standard error, for a file that is damaged or of another
        identity. Such a run starts over."""
        if not self.path.exists():
            return None
        try:
            header, tensors = _read(self.path)
            found, expected = header["identity"], self._identity()
            unlike = sorted(key for key in found | expected if found.get(key) != expected.get(key))
            numbers = header["numbers"]
        except DAMAGE as error:
            why = f"damaged ({type(error).__name__}: {error})"
        else:
            if not unlike:
                return numbers, tensors
            why = f"of another run ({', '.join(unlike)} differ)"
        print(f"psasc-bench: warning: {self.path}: {why}; the run starts over", file=sys.stderr)
        return None

    def save(self, numbers: Numbers, tensors: Tensors) -> bool:
        """Write the state, and say whether it is there. A full disk costs the checkpoint, not the run: it is a warning
        on standard error."""
        header = {"identity": self._identity(), "numbers": numbers}
        arrays: dict[str, Any] = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        try:
            with replacing(self.path) as file:
                np.savez(file, allow_pickle=False, **arrays)
            return True
        except OSError as error:
            print(f"psasc-bench: warning: {self.path}: no checkpoint written ({error})", file=sys.stderr)
            return False
        finally:
            self._written = time.monotonic()

    def due(self) -> bool:
        """Whether ``seconds`` have gone by since the last writing, or since the run started."""
        return time.monotonic() - self._written >= self.seconds

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)

    def _identity(self) -> dict[str, Any]:
        identity: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, **self.identity}))
        return identity


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        # nothing that grows when it is read
        if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
            raise ValueError("compressed")
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        arrays = {name: np.lib.format.read_array(archive.open(f"{name}.npy"), allow_pickle=False) for name in names}
    header = json.loads(arrays.pop("header").tobytes())
    return header, {name: torch.from_numpy(array) for name, array in arrays.items()}
