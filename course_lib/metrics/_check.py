"""What every metric asks of its images."""

import torch

from course_lib.axes import check_spatial
from course_lib.parameters import Parameter

__all__ = ["check_data_range", "check_pair", "double"]


def double(data: torch.Tensor) -> torch.Tensor:
    """Return `data` in float64, so that sums over millions of pixels keep their digits.

    Apple's MPS has no float64; there `data` stays as it is.
    """
    return data if data.device.type == "mps" else data.double()


def check_pair(
    estimate: torch.Tensor, truth: torch.Tensor, *, dimensions: int, name: str = "truth"
) -> tuple[torch.Tensor, torch.Tensor, tuple[int, ...]]:
    """Check an estimate and its truth, or what `name` calls it; return both in float64, and the axes of one image.

    Examples
    --------
    >>> _, _, image_axes = check_pair(torch.zeros(4, 8, 8), torch.ones(4, 8, 8), dimensions=2)
    >>> image_axes
    (-2, -1)
    """
    if dimensions not in (2, 3):
        raise ValueError(
            f"dimensions is {dimensions}, but must be 2 (images) or 3 (stacks): "
            f"the number of last axes that make up one image."
        )
    check_spatial(estimate, dimensions, name="estimate")
    check_spatial(truth, dimensions, name=name)
    if estimate.shape != truth.shape:
        raise ValueError(
            f"estimate has shape {tuple(estimate.shape)}, but {name} has {tuple(truth.shape)}: "
            f"both must be the same; crop or expand one."
        )
    return double(estimate), double(truth), tuple(range(-dimensions, 0))


def check_data_range(data_range: float) -> None:
    """Raise unless `data_range` is a finite number above 0.

    Examples
    --------
    >>> check_data_range(0.0)
    Traceback (most recent call last):
    ValueError: data_range is 0, but must be above 0: pass the largest minus the smallest value of the truth.
    """
    declared = Parameter(name="data_range", default=1.0, meaning="largest minus smallest value of the truth")
    declared.check(data_range)
    if data_range <= 0:
        raise ValueError(
            f"data_range is {data_range:g}, but must be above 0: "
            f"pass the largest minus the smallest value of the truth."
        )
