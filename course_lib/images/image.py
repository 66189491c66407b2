"""An image is an array that knows its axes, its voxel size and the unit of its values."""

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import torch

from course_lib import devices
from course_lib.axes import check_axes

__all__ = ["UNITS", "Image", "Unit", "as_array"]

Unit = Literal["photons", "electrons", "adu", "arbitrary"]
UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True, eq=False, repr=False)
class Image:
    """Pixels with their axes, voxel size and unit: what is read from disk and written to it.

    Attributes
    ----------
    data : numpy.ndarray
        The values: bool, integer or floating point; an array or a memory map.
    axes : str
        A letter for each dimension of `data`, in the order TCZYX (time, channel, depth, row, column).
    voxel_size_um : tuple of float or None
        (z, y, x) where there is an axis Z, else (y, x), in µm; None when unknown.
    unit : {"photons", "electrons", "adu", "arbitrary"}
        What the values count; adu are the camera's analog-to-digital units.

    Raises
    ------
    TypeError
        If `data` is not an array of real numbers.
    ValueError
        If axes, voxel size or unit do not fit.

    Notes
    -----
    `dataclasses.replace(image, data=changed)` gives a copy with other values and all the rest kept.

    Examples
    --------
    >>> image = Image(np.zeros((5, 64, 64), np.uint16), axes="TYX", voxel_size_um=(0.1, 0.1), unit="photons")
    >>> image
    Image(T 5 × Y 64 × X 64, uint16, voxel 0.1 × 0.1 µm, photons)
    >>> image.tensor().dtype
    torch.float32
    """

    data: np.ndarray[Any, Any]
    _: KW_ONLY
    axes: str
    voxel_size_um: tuple[float, ...] | None = None
    unit: Unit = "arbitrary"

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        if not isinstance(self.data, np.ndarray):
            raise TypeError(
                f"data is a {type(self.data).__name__}, but must be a NumPy array: "
                f"Image.from_tensor takes a tensor, np.asarray(data) makes an array of a list."
            )
        if self.data.dtype.kind not in "buif":
            raise TypeError(
                f"data has dtype {self.data.dtype}, but must be bool, integer or floating point: "
                f"convert it first, complex values for example with np.abs."
            )
        check_axes(self.axes, self.data.shape)
        if self.unit not in UNITS:
            raise ValueError(f"unit is {self.unit!r}, but must be one of {', '.join(map(repr, UNITS))}.")
        if self.voxel_size_um is not None:
            self._check_voxel_size(self.voxel_size_um)
            object.__setattr__(self, "voxel_size_um", tuple(float(size) for size in self.voxel_size_um))

    def _check_voxel_size(self, voxel_size_um: tuple[float, ...]) -> None:
        spatial = [letter.lower() for letter in self.axes if letter in "ZYX"]
        if not isinstance(voxel_size_um, tuple | list) or len(voxel_size_um) != len(spatial):
            raise ValueError(
                f"voxel_size_um is {voxel_size_um!r}, but axes {self.axes!r} need {len(spatial)} sizes: "
                f"pass ({', '.join(spatial)}) in µm, or None when unknown."
            )
        if not all(math.isfinite(size) and size > 0 for size in voxel_size_um):
            raise ValueError(
                f"voxel_size_um is {voxel_size_um!r}, but each size must be finite and above 0 µm: "
                f"pass None when it is unknown."
            )

    def tensor(self, device: str | torch.device = "cpu") -> torch.Tensor:
        """Copy the values into a float32 tensor; whole numbers above 2²⁴ are rounded to 7 digits.

        Parameters
        ----------
        device : str or torch.device
            Where the tensor will live, as in `course_lib.devices.resolve`.

        Returns
        -------
        torch.Tensor
            The shape of `data`, float32; changing it leaves the image alone.
        """
        values = np.array(self.data, dtype=np.float32, order="C")
        return torch.from_numpy(values).to(devices.resolve(device))

    @classmethod
    def from_tensor(
        cls,
        tensor: torch.Tensor,
        *,
        axes: str,
        voxel_size_um: tuple[float, ...] | None = None,
        unit: Unit = "arbitrary",
    ) -> Self:
        """Copy a tensor, from any device and in its dtype, into an image.

        Examples
        --------
        >>> Image.from_tensor(torch.ones(8, 8), axes="YX")
        Image(Y 8 × X 8, float32, voxel size unknown, arbitrary)
        """
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"tensor is a {type(tensor).__name__}, but must be a tensor: Image(data, axes=...) takes an array."
            )
        return cls(as_array(tensor).copy(), axes=axes, voxel_size_um=voxel_size_um, unit=unit)

    def __repr__(self) -> str:
        sizes = " × ".join(f"{axis} {size}" for axis, size in zip(self.axes, self.data.shape, strict=True))
        if self.voxel_size_um is None:
            voxel = "voxel size unknown"
        else:
            voxel = f"voxel {' × '.join(f'{size:.4g}' for size in self.voxel_size_um)} µm"
        return f"Image({sizes}, {self.data.dtype}, {voxel}, {self.unit})"


def as_array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return the values of a tensor as a NumPy array, bfloat16, which NumPy lacks, as float32."""
    values = tensor.detach().cpu()
    if values.dtype == torch.bfloat16:
        values = values.float()
    array: np.ndarray[Any, Any] = values.numpy()
    return array
