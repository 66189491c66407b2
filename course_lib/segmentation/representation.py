"""What a network is to learn so that objects can be read from its answer: the question that each method answers.

A network gives the same numbers for every pixel of equal surroundings. It cannot give labels: that one nucleus is
number 3 and its neighbour number 4 is no property of their pixels. So each method chooses maps that *are* properties of
pixels, and from which the objects follow by a short computation: three classes (`ThreeClasses`), distances to the
border along rays (`StarConvex`), or the way to the middle (`Flows`).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from course_lib.segmentation._check import Labels

__all__ = ["Representation"]


class Representation(Protocol):
    """Maps that stand for labels, and the way there and back."""

    choices: tuple[Mapping[str, float], ...]
    """Thresholds of `objects` among which training chooses by its validation set."""

    def maps(self, dimensions: int) -> int:
        """Return how many numbers the network gives for each pixel."""

    def targets(self, labels: Labels) -> torch.Tensor:
        """Return the maps to learn, (maps, [z,] y, x), of true labels."""

    def turned(self, targets: torch.Tensor, number: int) -> torch.Tensor:
        """Return maps that `course_lib.networks.augmentation.view` has turned, with their directions turned, too."""

    def loss(self, given: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each example, (N,), of what the network gives, (N, maps, [z,] y, x)."""

    @property
    def objects(self) -> Callable[..., Labels]:
        """Return the labels that follow from what the network gives for one image, (maps, [z,] y, x)."""
