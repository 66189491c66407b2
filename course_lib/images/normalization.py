r"""Bring images to the range that networks expect, and back.

Both methods are affine, :math:`y = (x - b) / s`, so that the inverse :math:`x = s\,y + b` is exact up to the
rounding of floating point. They differ in how they choose the offset :math:`b` and the scale :math:`s`.
"""

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import torch

from course_lib.axes import check_spatial
from course_lib.images.image import as_array

__all__ = ["MeanStandardDeviationNormalization", "Normalization", "PercentileNormalization"]


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """A fitted normalization: two plain numbers.

    Attributes
    ----------
    offset : float
        Value that becomes 0, in the image's unit.
    scale : float
        Difference that becomes 1, in the image's unit; above 0.

    Examples
    --------
    >>> normalization = Normalization(offset=100.0, scale=50.0)
    >>> normalization.apply(torch.tensor([100.0, 150.0]))
    tensor([0., 1.])
    >>> Normalization.from_dict(normalization.to_dict()) == normalization
    True
    """

    offset: float
    scale: float

    def __post_init__(self) -> None:
        """Check that both numbers are finite and the scale is above 0."""
        if not (np.isfinite(self.offset) and np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(
                f"offset is {self.offset} and scale {self.scale}, but both must be finite and scale above 0: "
                f"fit the normalization to an image that is not constant."
            )

    def apply(self, image: torch.Tensor) -> torch.Tensor:
        """Return the normalized image, (image - offset) / scale."""
        return (image - self.offset) / self.scale

    def invert(self, normalized: torch.Tensor) -> torch.Tensor:
        """Return the image in its unit, normalized × scale + offset."""
        return normalized * self.scale + self.offset

    def to_dict(self) -> dict[str, float]:
        """Return plain numbers to store, for example in a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, float]) -> Self:
        """Make the normalization that `to_dict` described."""
        return cls(offset=state["offset"], scale=state["scale"])


@dataclass(frozen=True, kw_only=True)
class PercentileNormalization:
    """Map a low percentile to 0 and a high one to 1, which a few very bright pixels do not disturb.

    Attributes
    ----------
    low, high : float
        Percentiles in percent, 0 <= low < high <= 100.

    References
    ----------
    .. [1] M. Weigert et al., "Content-aware image restoration: pushing the limits of fluorescence
       microscopy", Nature Methods 15, 1090-1097 (2018), doi:10.1038/s41592-018-0216-7.

    Examples
    --------
    >>> PercentileNormalization(low=0, high=100).fit(torch.arange(4.0).reshape(2, 2))
    Normalization(offset=0.0, scale=3.0)
    """

    low: float = 1.0
    high: float = 99.8

    def __post_init__(self) -> None:
        """Check the order of the percentiles."""
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(
                f"low is {self.low} % and high {self.high} %, but 0 <= low < high <= 100 is needed: "
                f"the defaults are 1 and 99.8."
            )

    def fit(self, image: torch.Tensor) -> Normalization:
        """Choose offset and scale from the percentiles of all elements, exactly, however many there are.

        Parameters
        ----------
        image : torch.Tensor
            Floating point, (..., Y, X), in any unit.

        Raises
        ------
        ValueError
            If both percentiles are the same value, or an element is not finite.
        """
        check_spatial(image, 2)
        low, high = (float(value) for value in np.percentile(as_array(image), [self.low, self.high]))
        if low == high:
            raise ValueError(
                f"the percentiles {self.low:g} % and {self.high:g} % of the image are both {low:g}: "
                f"it is constant or nearly so; check the image, or choose percentiles further apart."
            )
        return Normalization(offset=low, scale=high - low)


@dataclass(frozen=True, kw_only=True)
class MeanStandardDeviationNormalization:
    """Map the mean to 0 and the standard deviation to 1.

    Examples
    --------
    >>> MeanStandardDeviationNormalization().fit(torch.tensor([[2.0, 4.0]]))
    Normalization(offset=3.0, scale=1.0)
    """

    def fit(self, image: torch.Tensor) -> Normalization:
        """Choose offset and scale from mean and standard deviation of all elements, summed in float64.

        Parameters
        ----------
        image : torch.Tensor
            Floating point, (..., Y, X), in any unit.

        Raises
        ------
        ValueError
            If the image is constant, or an element is not finite.
        """
        check_spatial(image, 2)
        values = as_array(image)
        if values.min() == values.max():
            raise ValueError(
                f"the image is constant, {float(values.min()):g} everywhere, and has no scale: check the image."
            )
        return Normalization(offset=float(values.mean(dtype=np.float64)), scale=float(values.std(dtype=np.float64)))
