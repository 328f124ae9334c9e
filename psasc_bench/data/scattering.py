"""ScatterNet features of images, which no data was looked at for: a linear head on them is a strong private model.

Tramer & Boneh, Differentially Private Learning Needs Better Features (or Much More Data), ICLR 2021, arXiv 2011.11660,
section 3; scattering as in Oyallon & Mallat, CVPR 2015, by kymatio.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 256
OCTAVES, ANGLES = 2, 8  # kymatio's J and L: 81 maps a channel, of a quarter of the height and width
GROUPS = 27
EPSILON = 1e-5


def features(images: NDArray[Any], offset: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float16]:
    """Group-normalised scattering coefficients ``[n, 81 * channels * height/4 * width/4, 1, 1]`` of ``images
    [n, channels, height, width]``, taken as ``(image - offset)/scale`` by channel.

    Of each image, the maps of each of 27 groups get mean 0 and variance 1: a function of that image alone, so that it
    takes no privacy budget. Half precision errs by less than one part in 2,000. Raises ``ValueError`` for images whose
    sides are not multiples of 4.
    """
    from kymatio.numpy import Scattering2D

    shape = images.shape[2:]
    if any(side % 4 for side in shape):
        raise ValueError(f"features: scattering: images of {shape[0]}x{shape[1]} pixels; sides must be multiples of 4")
    scatter = Scattering2D(OCTAVES, shape, L=ANGLES)
    batches = []
    for start in range(0, len(images), BATCH):
        pixels = (images[start : start + BATCH].astype(np.float32) - offset[:, None, None]) / scale[:, None, None]
        maps = scatter(pixels).reshape(len(pixels), GROUPS, -1)
        centred = maps - maps.mean(axis=2, keepdims=True)
        normal = centred / np.sqrt(np.square(centred).mean(axis=2, keepdims=True) + EPSILON)
        batches.append(normal.reshape(len(pixels), -1, 1, 1).astype(np.float16))
    return np.concatenate(batches)
