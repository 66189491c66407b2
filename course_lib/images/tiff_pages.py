"""Planes of a compressed TIFF that are decoded when they are read, indexed like an array."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

__all__ = ["TiffPages"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class TiffPages:
    """A page for each plane; `order` says where each axis is in the file."""

    path: Path
    series: tifffile.TiffPageSeries
    file_shape: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(self.file_shape[axis] for axis in self.order)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.dtype(self.series.dtype)

    def __getitem__(self, index: tuple[int | slice, ...]) -> Array:
        leading = [
            range(*asked.indices(side)) if isinstance(asked, slice) else (asked,)
            for asked, side in zip(index[:-2], self.shape, strict=False)
        ]
        planes = np.stack([self._plane(place)[index[-2:]] for place in itertools.product(*leading)])
        kept = [len(places) for places, asked in zip(leading, index, strict=False) if isinstance(asked, slice)]
        return planes.reshape(*kept, *planes.shape[1:])

    def _plane(self, place: tuple[int, ...]) -> Array:
        in_file = [at for _, at in sorted(zip(self.order, place, strict=False))]
        number = int(np.ravel_multi_index(in_file, self.file_shape[:-2])) if in_file else 0
        page: Any = self.series.pages[number]
        try:
            plane: Array = page.asarray()
        except Exception as error:  # damaged files raise errors of every kind
            raise ValueError(
                f"plane {number} of {self.path} cannot be decoded: {error}. If it is damaged, copy it again; if it "
                f"needs imagecodecs, install that or save the file uncompressed."
            ) from error
        return plane.reshape(self.file_shape[-2:])
