"""What the steps share: the files of a split, and a model that is nothing but arrays.

The arrays are loaded with pickling refused, so a dataset or a model from elsewhere can't run code.
NumPy writes the same arrays as the same bytes: a step that is repeated gives the same files.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SIDE = 8
"""Pixels on each side of an image."""
WHITE = 16.0
"""The brightest value of a pixel; the darkest is 0."""


@dataclass(frozen=True, slots=True)
class Split:
    """Images, one row of `SIDE` * `SIDE` pixels each, and the digit that each one shows."""

    images: Floats
    labels: Integers

    def save(self, path: Path) -> None:
        """Write both arrays to `path`, which ends in `.npz`."""
        np.savez(path, images=self.images, labels=self.labels)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` has written."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(images=arrays["images"], labels=arrays["labels"])


@dataclass(frozen=True, slots=True)
class Model:
    """A network of one hidden layer with rectified units."""

    hidden_weights: Floats
    hidden_bias: Floats
    output_weights: Floats
    output_bias: Floats

    def predict(self, images: Floats) -> Integers:
        """The most likely digit of each image."""
        hidden = np.maximum(images / WHITE @ self.hidden_weights + self.hidden_bias, 0.0)
        scores = hidden @ self.output_weights + self.output_bias
        digits: Integers = scores.argmax(axis=1)
        return digits

    def save(self, path: Path) -> None:
        """Write the four arrays to `path`, which ends in `.npz`."""
        np.savez(
            path,
            hidden_weights=self.hidden_weights,
            hidden_bias=self.hidden_bias,
            output_weights=self.output_weights,
            output_bias=self.output_bias,
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` has written."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                hidden_weights=arrays["hidden_weights"],
                hidden_bias=arrays["hidden_bias"],
                output_weights=arrays["output_weights"],
                output_bias=arrays["output_bias"],
            )
