"""An image is an array that knows its axes, its voxel size and the unit of its values."""

import math
from dataclasses import KW_ONLY, dataclass, replace
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

    def at(self, axis: str, index: int) -> Self:
        """Choose one frame, channel or plane: the image without that axis.

        Parameters
        ----------
        axis : str
            T, C or Z.
        index : int
            Which one; -1 is the last.

        Raises
        ------
        ValueError
            If the image has no such axis, or not so many along it.

        Examples
        --------
        >>> two_channels = Image(np.zeros((2, 24, 64, 64)), axes="CZYX", voxel_size_um=(0.2, 0.1, 0.1))
        >>> two_channels.at("C", 0).at("Z", 12)
        Image(Y 64 × X 64, float64, voxel 0.1 × 0.1 µm, arbitrary)
        """
        if len(axis) != 1 or axis not in self.axes or axis in "YX":
            choices = ", ".join(letter for letter in self.axes if letter not in "YX") or "none"
            raise ValueError(f"axis is {axis!r}, but this image, with axes {self.axes!r}, can be cut along {choices}.")
        place = self.axes.index(axis)
        count = self.data.shape[place]
        if not -count <= index < count:
            raise ValueError(f"index is {index}, but the image has {count} along {axis}: pass 0 to {count - 1}.")
        sizes = self.voxel_size_um[1:] if axis == "Z" and self.voxel_size_um else self.voxel_size_um
        return replace(
            self,
            data=np.asarray(self.data[(slice(None),) * place + (index,)]),
            axes=self.axes.replace(axis, ""),
            voxel_size_um=sizes,
        )

    def require_axes(self, axes: str) -> Self:
        """Return this image if it has the axes `axes`; otherwise say how to get one that has.

        Raises
        ------
        ValueError
            If the axes differ.

        Examples
        --------
        >>> Image(np.zeros((2, 64, 64)), axes="CYX").require_axes("YX")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: the image has the axes 'CYX', but 'YX' are needed: choose one with .at('C', 0). If only the ...
        """
        if self.axes == axes:
            return self
        extra = [letter for letter in self.axes if letter not in axes]
        missing = [letter for letter in axes if letter not in self.axes]
        chosen = "".join(f".at({letter!r}, 0)" for letter in extra)
        if missing:
            remedy = f"{', '.join(missing)} is not in this file: take another one"
        else:
            remedy = f"choose one with {chosen}"
        raise ValueError(
            f"the image has the axes {self.axes!r}, but {axes!r} are needed: {remedy}. If only the names are wrong, "
            f"read the file with axes='...'."
        )

    @property
    def known_voxel_size_um(self) -> tuple[float, ...]:
        """The voxel size; raises ValueError, with the remedy, where it is unknown."""
        if self.voxel_size_um is None:
            sizes = ", ".join(letter.lower() for letter in self.axes if letter in "ZYX")
            raise ValueError(
                f"the voxel size of the image is unknown: read the file with voxel_size_um=({sizes}), in µm."
            )
        return self.voxel_size_um

    def tensor(self, device: str | torch.device = "cpu") -> torch.Tensor:
        """Copy the values into a float32 tensor.

        Whole numbers above 2²⁴ are rounded to 7 digits, and what is beyond 3e38 becomes infinite.

        Parameters
        ----------
        device : str or torch.device
            Where the tensor will live, as in `course_lib.devices.resolve`.

        Returns
        -------
        torch.Tensor
            The shape of `data`, float32; changing it leaves the image alone.
        """
        with np.errstate(over="ignore"):
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
