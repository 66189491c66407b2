r"""A resolution target: groups of bright lines, finer from left to right.

A group of period :math:`p` has lines of width :math:`p/2` with gaps as wide between them: in the upper half they
are vertical, in the lower half horizontal. The microscope resolves a group as long as its contrast

.. math:: C = \frac{I_\mathrm{max} - I_\mathrm{min}}{I_\mathrm{max} + I_\mathrm{min}}

stands out from the noise; that it falls with the frequency :math:`1/p` is the optical transfer function, seen by
eye. Each voxel holds exactly the share of it that the lines fill.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch

from course_lib.parameters import Parameter
from course_lib.samples._check import check_shape, check_voxel_size, check_whole, fluorophores_per_voxel
from course_lib.samples._thin_plane import filled_share, thin_plane

__all__ = ["LinePairs", "line_pairs", "resolution_target"]

PERIODS_UM = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18)
PERIOD = Parameter(name="periods_um", default=1.0, meaning="a line and the gap beside it", unit="µm", minimum=1e-3)
BARS = Parameter(name="bars", default=5, meaning="lines of a group", minimum=1)


class LinePairs(NamedTuple):
    """Where one group of lines lies, in µm from the corner of the field.

    Attributes
    ----------
    period_um : float
        A line and the gap beside it.
    left_um : float
        Where its lines begin in x.
    vertical_um, horizontal_um : float
        Where its vertical and its horizontal lines begin in y.
    side_um : float
        Length of its lines, and extent of them all.
    """

    period_um: float
    left_um: float
    vertical_um: float
    horizontal_um: float
    side_um: float


def _checked_periods(periods_um: Sequence[float]) -> tuple[float, ...]:
    try:
        periods = tuple(float(period_um) for period_um in periods_um)
    except TypeError:
        periods = ()
    if not periods:
        raise ValueError(
            f"periods_um is {periods_um!r}, but must list the period of each group, at least one: "
            f"for example (1.0, 0.5)."
        )
    for period_um in periods:
        PERIOD.check(period_um)
    return periods


def line_pairs(
    shape: Sequence[int],
    *,
    voxel_size_um: Sequence[float],
    periods_um: Sequence[float] = PERIODS_UM,
    bars: int = 5,
) -> list[LinePairs]:
    """Return where `resolution_target` puts its groups, to measure the contrast of each.

    Parameters
    ----------
    shape, voxel_size_um, periods_um, bars
        As for `resolution_target`.

    Returns
    -------
    list of LinePairs
        One for each period, from left to right, in the middle of the field.

    Raises
    ------
    ValueError
        If a number is out of range, or the groups do not fit the field.
    TypeError
        If a side or the number of bars is not a whole number.

    Examples
    --------
    >>> coarse, fine = line_pairs((64, 128), voxel_size_um=(0.1, 0.1), periods_um=(0.6, 0.4), bars=3)
    >>> round(fine.left_um - coarse.left_um, 3)  # 3 lines and gaps of the coarse group
    2.1
    """
    shape = check_shape(shape)
    voxel_size_um = check_voxel_size(voxel_size_um, shape)
    bars = check_whole(BARS, bars)
    periods_um = _checked_periods(periods_um)
    # a group is as high as it is wide; a gap of one period follows it, to the right and below
    sides_um = [(bars - 0.5) * period_um for period_um in periods_um]
    width_um = sum(sides_um) + sum(periods_um) - periods_um[-1]
    height_um = 2 * max(sides_um) + max(periods_um)
    field_height_um, field_width_um = (side * size for side, size in zip(shape[-2:], voxel_size_um[-2:], strict=True))
    if width_um > field_width_um or height_um > field_height_um:
        raise ValueError(
            f"periods_um is {periods_um}, and {bars} lines of each measure {height_um:.4g} × {width_um:.4g} µm "
            f"in all, but the field is {field_height_um:.4g} × {field_width_um:.4g} µm: "
            f"use fewer or shorter periods, fewer bars, or a larger field."
        )
    left_um = (field_width_um - width_um) / 2
    groups = []
    for period_um, side_um in zip(periods_um, sides_um, strict=True):
        middle_um = field_height_um / 2
        groups.append(
            LinePairs(period_um, left_um, middle_um - period_um / 2 - side_um, middle_um + period_um / 2, side_um)
        )
        left_um += side_um + period_um
    return groups


def resolution_target(
    shape: Sequence[int],
    *,
    voxel_size_um: Sequence[float],
    periods_um: Sequence[float] = PERIODS_UM,
    bars: int = 5,
    thickness_um: float = 0.1,
    fluorophores_per_um3: float | None = None,
) -> torch.Tensor:
    """Draw groups of line pairs, by default as density relative to that of a line.

    The target is the same in µm for every voxel size that covers the same field.

    Parameters
    ----------
    shape : sequence of int
        (y, x) or (z, y, x) in voxels.
    voxel_size_um : sequence of float
        Side of a voxel in µm along each axis.
    periods_um : sequence of float
        Period of each group, from left to right.
    bars : int
        Lines of each group.
    thickness_um : float
        In a stack, thickness of the target, which lies halfway up.
    fluorophores_per_um3 : float or None
        Fluorophores in a line, to get fluorophores per voxel (per µm² in a plane); None for the share of each
        voxel that lines fill.

    Returns
    -------
    torch.Tensor, shape `shape`
        float32. Relative, from 0 to 1; a stack stays below 1 where the target is thinner than a voxel.

    Raises
    ------
    ValueError
        If the shape is not (y, x) or (z, y, x), the voxel sizes do not match it, a number is out of range, or the
        target does not fit the field.
    TypeError
        If a side or the number of bars is not a whole number.

    References
    ----------
    MIL-STD-150A, "Photographic Lenses" (1951): the resolution target of three bars.

    Examples
    --------
    >>> target = resolution_target((16, 96, 128), voxel_size_um=(0.2, 0.1, 0.1), periods_um=(0.8, 0.4))
    >>> target.shape
    torch.Size([16, 96, 128])
    """
    shape = check_shape(shape)
    voxel_size_um = check_voxel_size(voxel_size_um, shape)
    rows = partial(filled_share, side=shape[-2], size_um=voxel_size_um[-2])
    columns = partial(filled_share, side=shape[-1], size_um=voxel_size_um[-1])
    pattern = torch.zeros(shape[-2:], dtype=torch.float64)
    for group in line_pairs(shape, voxel_size_um=voxel_size_um, periods_um=periods_um, bars=bars):
        line_um = group.period_um * torch.arange(bars, dtype=torch.float64)
        end_um = line_um + group.period_um / 2
        first_um, last_um = line_um[:1], end_um[-1:]
        pattern += torch.outer(
            rows(group.vertical_um + first_um, group.vertical_um + last_um),
            columns(group.left_um + line_um, group.left_um + end_um),
        )
        pattern += torch.outer(
            rows(group.horizontal_um + line_um, group.horizontal_um + end_um),
            columns(group.left_um + first_um, group.left_um + last_um),
        )
    target = thin_plane(pattern.float(), shape, voxel_size_um, thickness_um)
    return fluorophores_per_voxel(target, voxel_size_um, fluorophores_per_um3)
