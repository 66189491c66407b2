"""Pairs that stay on disk: stacks larger than memory, of which only patches are read.

Register and crop before, and write what belongs together to files of equal sides, for example TIFF without compression
or Zarr. The two may be in different units: the network's answers are in the target's.
"""

from dataclasses import dataclass
from typing import Any

import torch

from course_lib.images import ImageOnDisk

__all__ = ["PairOnDisk", "StoredField"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PairOnDisk:
    """A noisy and a clean image of one field, pixel on pixel, as `course_lib.images.open_image` opens them.

    Attributes
    ----------
    image, target : ImageOnDisk
        Axes ZYX or YX, with C before them where there are channels; the channels may differ in number.
    sample : str, optional
        Name of the field, as in `Pair`.

    Raises
    ------
    ValueError
        If there are other axes, or the sides differ.
    """

    image: ImageOnDisk
    target: ImageOnDisk
    sample: str | None = None

    def __post_init__(self) -> None:
        """Check that the two fit together."""
        for name, one in (("image", self.image), ("target", self.target)):
            if one.axes.removeprefix("C") not in ("YX", "ZYX"):
                raise ValueError(
                    f"the {name} {one.path} has the axes {one.axes}, but a pair has ZYX or YX, and C before them where "
                    f"there are channels: write each time to a file of its own."
                )
        image, target = StoredField(self.image), StoredField(self.target)
        if image.shape[1:] != target.shape[1:]:
            raise ValueError(
                f"{self.image.path} has the sides {image.shape[1:]}, its target {self.target.path} {target.shape[1:]}: "
                f"they must show one field; crop them."
            )


@dataclass(frozen=True)
class StoredField:
    """An image on disk as patches are cut from it: (C, [Z,] Y, X)."""

    image: ImageOnDisk

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and sides."""
        sides = self.image.shape
        return sides if "C" in self.image.axes else (1, *sides)

    def __getitem__(self, index: Any, /) -> torch.Tensor:
        """Read a box, slices for all axes."""
        if "C" in self.image.axes:
            return self.image.read(index)
        return self.image.read(index[1:])[None]
