"""The class that a run predicts for each example that it is evaluated on: a few bits each, in its record."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psasc_bench.records.record import Record, class_bits


def pack_predictions(predicted: NDArray[np.integer[Any]], *, classes: int) -> dict[str, Any]:
    """``predicted [n]``, of so many classes, as a record keeps them: each in ``ceil(log2(classes))`` bits, the most
    significant first, in base64. 10,000 examples of ten classes are 7 kB."""
    bits = (predicted[:, None] >> np.arange(class_bits(classes))[::-1]) & 1
    packed = base64.b64encode(np.packbits(bits.astype(np.uint8)).tobytes()).decode()
    return {"classes": classes, "examples": len(predicted), "packed": packed}


def unpack_predictions(found: Record) -> NDArray[np.int64] | None:
    """The classes ``[n]``, in the order of the data set's examples; None where a record has none: it is of a run that
    failed, or older than they are. Raises ``ValueError`` for what packing does not give."""
    if found.predictions is None:
        return None
    classes, examples = found.predictions["classes"], found.predictions["examples"]
    width = class_bits(classes)
    data = np.frombuffer(base64.b64decode(found.predictions["packed"], validate=True), np.uint8)
    bits = np.unpackbits(data, count=examples * width).reshape(examples, width)
    predicted = bits.astype(np.int64) @ (1 << np.arange(width)[::-1])
    if (predicted >= classes).any():
        raise ValueError(f"{found.spec.name()}: it predicts class {predicted.max()} of {classes}")
    return predicted
