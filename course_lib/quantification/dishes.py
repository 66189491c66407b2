r"""Simulated dishes of cells: an experiment whose true result is known, for a judgement of the analysis.

Cells of one dish are alike: they share its medium, its handling and its day. The marker in cell :math:`c` of dish
:math:`d`, in a condition :math:`k` on day :math:`t`, is

.. math:: m = m_0\, e_k\, \exp(\sigma_t z_t + \sigma_d z_{kd} + \sigma_c z_{kdc}) ,

with standard normal :math:`z`, and :math:`e_k` 1 for the control and the *effect* for the treatment. The ratio of the
two means is the effect. Without an effect (1), whatever an analysis finds is its own mistake.

An image holds two channels of expected photons: the stain of the nuclei, and the marker,

.. math:: \mu_\text{marker} = h * (m + s\, n) + b_k ,

with the stain :math:`n` that bleeds through by the share :math:`s`, the blur :math:`h` and a background :math:`b_k`
that may differ between the conditions as well, as after a change of medium. The treatment may also swell the nuclei.
So a conclusion can turn over with the correction of the background, with the choice of sum or mean, and with the unit
of replication.

References
----------
S. E. Lazic, C. J. Clarke-Williams, M. R. Munafò, "What exactly is 'N' in cell culture and animal experiments?", PLOS
Biology 16 (2018) e2005282.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from course_lib import samples
from course_lib.parameters import Parameters, parameter
from course_lib.seeding import generator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CONDITIONS", "Dish", "DishPlan", "simulated_cells", "simulated_dishes"]

CONDITIONS = ("control", "treated")


class DishPlan(Parameters):
    """The experiment, and the truth behind it.

    Examples
    --------
    >>> DishPlan(effect=1.3).dishes
    4
    """

    dishes: int = parameter(default=4, meaning="of each condition, one a day", minimum=1)
    cells: int = parameter(default=20, meaning="in each dish", minimum=1)
    effect: float = parameter(default=1.0, meaning="marker of treated over control cells", minimum=0.01, maximum=100)
    spread_between_days: float = parameter(default=0.0, meaning="of the log marker, shared by a day", minimum=0)
    spread_between_dishes: float = parameter(default=0.15, meaning="of the log marker, shared by a dish", minimum=0)
    spread_between_cells: float = parameter(default=0.3, meaning="of the log marker in one dish", minimum=0)
    marker_photons: float = parameter(default=30.0, meaning="in a pixel of a nucleus", unit="photons", minimum=0)
    nuclei_photons: float = parameter(default=60.0, meaning="of the stain in a pixel", unit="photons", minimum=0)
    background_photons: float = parameter(default=5.0, meaning="in a pixel of control", unit="photons", minimum=0)
    background_effect: float = parameter(default=1.0, meaning="background of treated over control", minimum=0)
    bleed_through: float = parameter(default=0.0, meaning="share of the stain in the marker", minimum=0, maximum=1)
    diameter_um: float = parameter(default=10.0, meaning="mean diameter of control nuclei", unit="µm", minimum=1.0)
    diameter_effect: float = parameter(default=1.0, meaning="diameter of treated over control", minimum=0.5, maximum=2)
    blur_um: float = parameter(default=0.3, meaning="standard deviation of the blur", unit="µm", minimum=0)


@dataclass(frozen=True, eq=False)
class Dish:
    """A dish, as it is and as it is expected in the image.

    Attributes
    ----------
    condition : str
        "control" or "treated".
    day : int
        From 1 on; both conditions have a dish each day.
    nuclei, marker : torch.Tensor, shape (y, x)
        Expected photons of the two channels, float32. `torch.poisson` or a camera makes an image of them.
    labels : numpy.ndarray of int32, shape (y, x)
        True nuclei, 0 outside.
    cells : pandas.DataFrame
        One row a nucleus: `condition`, `day`, `dish`, `ID`, true `area_um2`, `marker_photons` (mean in a pixel of the
        nucleus, before blur and without background) and `marker_photons_sum`.
    """

    condition: str
    day: int
    nuclei: torch.Tensor
    marker: torch.Tensor
    labels: NDArray[np.int32]
    cells: "pd.DataFrame"


def simulated_cells(plan: DishPlan | None = None, *, rng: int | torch.Generator | None) -> "pd.DataFrame":
    """Draw the marker in each cell, without images: an experiment in a millisecond.

    Parameters
    ----------
    plan : DishPlan, optional
        The experiment.
    rng : int, torch.Generator or None
        Seed, or generator on the CPU.

    Returns
    -------
    pandas.DataFrame
        One row a cell: `condition`, `day`, `dish` (no name occurs twice), `ID` in the dish, `marker_photons`.

    Examples
    --------
    >>> cells = simulated_cells(DishPlan(dishes=2, cells=3), rng=0)
    >>> cells["dish"].unique().tolist()
    ['control 1', 'control 2', 'treated 1', 'treated 2']
    """
    import pandas as pd

    plan, draws = plan or DishPlan(), generator(rng)

    def normal(*sides: int) -> torch.Tensor:
        return torch.randn(sides, generator=draws, dtype=torch.float64)

    shape = (len(CONDITIONS), plan.dishes, plan.cells)
    logarithm = (
        plan.spread_between_days * normal(1, plan.dishes, 1)
        + plan.spread_between_dishes * normal(*shape[:2], 1)
        + plan.spread_between_cells * normal(*shape)
    )
    effects = torch.tensor([1.0, plan.effect], dtype=torch.float64)
    marker = plan.marker_photons * effects[:, None, None] * logarithm.exp()
    condition, day, cell = (index.ravel() for index in np.indices(shape))
    names = np.array(CONDITIONS, dtype=object)[condition]
    return pd.DataFrame(
        {
            "condition": names,
            "day": day + 1,
            "dish": [f"{name} {number + 1}" for name, number in zip(names, day, strict=True)],
            "ID": cell + 1,
            "marker_photons": marker.flatten().numpy(),
        }
    )


def simulated_dishes(
    plan: DishPlan | None = None,
    *,
    shape: Sequence[int] = (256, 256),
    voxel_size_um: Sequence[float] = (0.5, 0.5),
    rng: int | torch.Generator | None,
) -> Iterator[Dish]:
    """Draw dishes of nuclei one after the other: first all of the control, then all that were treated.

    Parameters
    ----------
    plan : DishPlan, optional
        The experiment.
    shape : sequence of int
        (y, x) in pixels, of each dish.
    voxel_size_um : sequence of float
        (y, x) in µm.
    rng : int, torch.Generator or None
        Seed, or generator on the CPU.

    Yields
    ------
    Dish

    Raises
    ------
    ValueError
        If the shape is not (y, x), or the nuclei find no room in it.

    Examples
    --------
    >>> plan = DishPlan(dishes=1, cells=5, effect=1.5)
    >>> control, treated = simulated_dishes(plan, shape=(96, 96), rng=0)
    >>> control.condition, treated.condition, treated.labels.max()
    ('control', 'treated', np.int32(5))
    """
    plan, draws = plan or DishPlan(), generator(rng)
    if len(shape) != 2:
        raise ValueError(f"shape is {tuple(shape)}, but a dish is seen in one plane: give (y, x).")
    for _, cells in simulated_cells(plan, rng=draws).groupby("dish", sort=False):
        yield _dish(cells.reset_index(drop=True), plan, shape, voxel_size_um, draws)


def _dish(
    cells: "pd.DataFrame", plan: DishPlan, shape: Sequence[int], voxel_size_um: Sequence[float], draws: torch.Generator
) -> Dish:
    condition, treated = str(cells["condition"][0]), cells["condition"][0] == CONDITIONS[1]
    density, labels = samples.nuclei(
        shape,
        voxel_size_um=voxel_size_um,
        count=plan.cells,
        diameter_um=plan.diameter_um * (plan.diameter_effect if treated else 1.0),
        rng=draws,
    )
    truth = torch.tensor([0.0, *cells["marker_photons"]], dtype=torch.float32)
    stain = plan.nuclei_photons * density
    marker = truth[labels.long()] * _grain(density, labels) + plan.bleed_through * stain
    background = plan.background_photons * (plan.background_effect if treated else 1.0)
    sigmas_px = [plan.blur_um / size for size in voxel_size_um]
    pixels = np.bincount(labels.numpy().ravel(), minlength=plan.cells + 1)[1:]
    return Dish(
        condition=condition,
        day=int(cells["day"][0]),
        nuclei=_blurred(stain, sigmas_px) + plan.background_photons,
        marker=_blurred(marker, sigmas_px) + background,
        labels=labels.numpy(),
        cells=cells.assign(
            area_um2=pixels * float(np.prod(voxel_size_um)), marker_photons_sum=cells["marker_photons"] * pixels
        ),
    )


def _grain(density: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the texture of the nuclei, with a mean of 1 in each and 0 outside."""
    numbers, count = labels.flatten().long(), int(labels.max()) + 1
    sums = torch.zeros(count).index_add_(0, numbers, density.flatten())
    means = sums / torch.bincount(numbers, minlength=count).clamp(min=1)
    return torch.where(labels > 0, density / means.clamp(min=1e-12)[labels.long()], 0.0)


def _blurred(image: torch.Tensor, sigmas_px: Sequence[float]) -> torch.Tensor:
    from scipy import ndimage

    blurred: NDArray[Any] = ndimage.gaussian_filter(image.numpy(), sigmas_px, mode="nearest")
    return torch.from_numpy(blurred)
