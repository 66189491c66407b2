r"""Compare two conditions, with the replicate as the unit: the dish, the animal, the day, and not the cell.

Cells of one dish share its medium and handling, so that a thousand of them are no thousand witnesses. With the spread
:math:`\sigma_d` between dishes and :math:`\sigma_c` between cells, the mean of a condition with :math:`n` dishes of
:math:`m` cells has the variance

.. math:: \frac{\sigma_d^2}{n} + \frac{\sigma_c^2}{n\,m} .

More cells reduce the second part only. A test of pooled cells takes :math:`(\sigma_d^2 + \sigma_c^2)/(nm)` for it, and
finds effects where there are none: the more cells, the more surely (*pseudo-replication* [1]_).

So the cells of a replicate are averaged first, and their means are the data. `compare` is Welch's test [2]_ on them,

.. math:: t = \frac{\bar y_2 - \bar y_1}{\sqrt{s_1^2/n_1 + s_2^2/n_2}} ,

which does not ask for equal spreads; `compare_paired` takes both conditions of a day together. The answer is an effect
with its interval. The p value only says whether 0 lies in that. The effect in units of the spread is Hedges' g [3]_,

.. math:: g = J(\nu)\,\frac{\bar y_2 - \bar y_1}{s}, \qquad
          J(\nu) = \frac{\Gamma(\nu/2)}{\sqrt{\nu/2}\;\Gamma((\nu - 1)/2)} ,

with the pooled spread :math:`s` of the replicates, :math:`\nu` its degrees of freedom, and :math:`J` against the bias
of few replicates. In pairs :math:`s` is also the spread between replicates within a condition, not that of the
differences [4]_, which is smaller: so g means the same in both designs, and only the interval gains from the pairs. As
the two conditions of a pair vary together, with the covariance :math:`c`, there are fewer degrees of freedom,
:math:`\nu = (n - 1)\,(s_1^2 + s_2^2)^2 / (s_1^4 + s_2^4 + 2 c^2)`.

Where an effect multiplies, as most do, compare the logarithms: a difference of 0.1 is then a ratio of
:math:`e^{0.1}`. What falsifies both conditions alike drops out of one of the two only: an added background out of the
difference, not out of the ratio, and so not of logarithms; a factor, as a wrong gain, out of the ratio, not out of the
difference.

References
----------
.. [1] S. E. Lazic, "The problem of pseudoreplication in neuroscientific studies", BMC Neuroscience 11 (2010) 5.
.. [2] B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
   involved", Biometrika 34 (1947) 28.
.. [3] L. V. Hedges, "Distribution theory for Glass's estimator of effect size and related estimators", Journal of
   Educational Statistics 6 (1981) 107.
.. [4] D. Lakens, "Calculating and reporting effect sizes to facilitate cumulative science", Frontiers in Psychology 4
   (2013) 863: Cohen's d_av.
"""

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from course_lib.parameters import Parameter
from course_lib.quantification._table import check_table, numbers_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "compare", "compare_paired", "compare_pooled_cells"]

Numbers = NDArray[np.float64]
Unit = Literal["replicates", "pairs", "cells"]
CONFIDENCE = Parameter(
    name="confidence", default=0.95, meaning="chance that the interval holds the effect", minimum=0.5, maximum=0.9999
)


@dataclass(frozen=True)
class Comparison:
    """The effect of a condition, with its uncertainty.

    Attributes
    ----------
    value : str
        The column that was compared.
    unit : {"replicates", "pairs", "cells"}
        What counted as one observation.
    conditions : tuple of str
        The reference, and what is compared with it.
    means : tuple of float
        Of both conditions: the mean of the observations.
    difference : float
        Second mean less first, in the unit of the column.
    interval : tuple of float
        Confidence interval of `difference`.
    confidence : float
        Chance that such an interval holds the true difference.
    standard_error, degrees_of_freedom : float
        Of `difference`.
    hedges_g : float
        `difference` over the spread between observations of one condition, in pairs as well, corrected for their small
        number. NaN for two pairs, whose spread is not known well enough.
    p_value : float
        Two-sided, of no difference.
    observations : tuple of int
        How many of each condition.
    cells : tuple of int
        How many rows of each condition.
    """

    value: str
    unit: Unit
    conditions: tuple[str, str]
    means: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    confidence: float
    standard_error: float
    degrees_of_freedom: float
    hedges_g: float
    p_value: float
    observations: tuple[int, int]
    cells: tuple[int, int]

    def __str__(self) -> str:
        """Say it in a sentence, as for a paper."""
        low, high = self.interval
        first, second = self.conditions
        one, other = self.observations
        p = "p < 0.0001" if self.p_value < 1e-4 else f"p = {self.p_value:.2g}"
        counts = f"{one} {self.unit}" if self.unit == "pairs" else f"{one} and {other} {self.unit}"
        return (
            f"{second} − {first}: {self.difference:.3g} "
            f"({100 * self.confidence:g} % interval {low:.3g} to {high:.3g}), "
            f"g = {self.hedges_g:.2g}, {p}, {counts}"
        )


def compare(
    table: "pd.DataFrame",
    *,
    value: str,
    condition: str,
    replicate: str,
    reference: str | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two conditions by the means of their replicates, which are independent (Welch's test).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a cell.
    value, condition, replicate : str
        Columns: what is compared, between which two conditions, and the dish, animal or day of each cell. Dishes of
        different conditions are different dishes, even where their names are the same.
    reference : str, optional
        The condition to compare with; by default the one that comes first in the table.
    confidence : float
        Of the interval.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If there are not two conditions, one has fewer than 2 replicates, values are missing or infinite, or no
        replicate differs from another.
    TypeError
        If the table is no DataFrame, or `value` holds no numbers.

    Examples
    --------
    >>> from course_lib.quantification import DishPlan, simulated_cells
    >>> cells = simulated_cells(DishPlan(dishes=5, cells=50, effect=1.5), rng=0)
    >>> found = compare(cells, value="marker_photons", condition="condition", replicate="dish")
    >>> found.observations, found.cells, found.interval[0] < found.difference < found.interval[1]
    ((5, 5), (250, 250), True)
    """
    design = _design(table, [value, condition, replicate], reference=reference, confidence=confidence)
    means = _means_of_replicates(table, [value, condition, replicate])
    first, second = (np.array([mean for (c, _), mean in means.items() if c == name]) for name in design.conditions)
    for name, observations in zip(design.conditions, (first, second), strict=True):
        if len(observations) < 2:
            raise ValueError(
                f"condition {name!r} has {len(observations)} replicate, but the spread between replicates needs at "
                f"least 2, better 5: repeat the experiment, more cells are no substitute."
            )
    return _welch(design, "replicates", first, second)


def compare_paired(
    table: "pd.DataFrame",
    *,
    value: str,
    condition: str,
    replicate: str,
    reference: str | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two conditions that were both done in each replicate, as on the same day (paired t test).

    What a day does to both conditions drops out of their difference. Decide for pairs before the data are seen, by how
    the experiment was done.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a cell.
    value, condition, replicate : str
        Columns: what is compared, between which two conditions, and the day or animal. Equal names are one pair.
    reference : str, optional
        The condition to compare with; by default the one that comes first in the table.
    confidence : float
        Of the interval.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        As `compare`, and if a replicate lacks one of the conditions.
    TypeError
        As `compare`.

    Examples
    --------
    >>> from course_lib.quantification import DishPlan, simulated_cells
    >>> plan = DishPlan(dishes=5, cells=50, effect=1.5, spread_between_days=0.5, spread_between_dishes=0.05)
    >>> cells = simulated_cells(plan, rng=0)
    >>> columns = {"value": "marker_photons", "condition": "condition", "replicate": "day"}
    >>> compare_paired(cells, **columns).standard_error < compare(cells, **columns).standard_error
    True
    """
    design = _design(table, [value, condition, replicate], reference=reference, confidence=confidence)
    means = _means_of_replicates(table, [value, condition, replicate])
    days = list(dict.fromkeys(day for _, day in means))
    for day, name in itertools.product(days, design.conditions):
        if (name, day) not in means:
            raise ValueError(
                f"replicate {day!r} has no cells of {name!r}, but pairs need both: leave it out, or use compare."
            )
    if len(days) < 2:
        raise ValueError(f"there is {len(days)} pair, but the spread between pairs needs at least 2, better 5.")
    first, second = (np.array([means[name, day] for day in days]) for name in design.conditions)
    degrees = len(days) - 1
    standard_error = float((second - first).std(ddof=1)) / math.sqrt(len(days))
    return _comparison(
        design, "pairs", first, second, _Spread(standard_error, degrees, *_spread_in_pairs(first, second))
    )


def compare_pooled_cells(
    table: "pd.DataFrame", *, value: str, condition: str, reference: str | None = None, confidence: float = 0.95
) -> Comparison:
    """Compare as if each cell were a replicate: **wrong** for cells of common dishes, and here to show how wrong.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a cell.
    value, condition : str
        Columns: what is compared, and between which two conditions.
    reference : str, optional
        The condition to compare with; by default the one that comes first in the table.
    confidence : float
        What the interval claims; it keeps that only where all cells are independent.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError, TypeError
        As `compare`, with cells for replicates.

    Examples
    --------
    Two dishes a condition, without any effect:

    >>> from course_lib.quantification import DishPlan, simulated_cells
    >>> cells = simulated_cells(DishPlan(dishes=2, cells=500), rng=0)
    >>> pooled = compare_pooled_cells(cells, value="marker_photons", condition="condition")
    >>> honest = compare(cells, value="marker_photons", condition="condition", replicate="dish")
    >>> pooled.p_value < 0.001, honest.p_value > 0.1
    (True, True)
    """
    design = _design(table, [value, condition], reference=reference, confidence=confidence)
    values, group = numbers_of(table, value), table[condition].to_numpy()
    first, second = (values[group == name] for name in design.conditions)
    for name, observations in zip(design.conditions, (first, second), strict=True):
        if len(observations) < 2:
            raise ValueError(f"condition {name!r} has {len(observations)} cell, but a spread needs at least 2.")
    return _welch(design, "cells", first, second)


class _Design(NamedTuple):
    value: str
    conditions: tuple[str, str]
    cells: tuple[int, int]
    confidence: float


class _Spread(NamedTuple):
    """Of the difference of means, and between observations of a condition; each with its degrees of freedom."""

    standard_error: float
    degrees_of_freedom: float
    between_observations: float
    degrees_between: float


def _design(table: "pd.DataFrame", columns: list[str], *, reference: str | None, confidence: float) -> _Design:
    """Check the columns (value, condition, replicate), and put the reference first."""
    CONFIDENCE.check(confidence)
    check_table(table, columns=columns)
    value, condition = columns[:2]
    cells = table[condition].value_counts(sort=False)
    names = table[condition].unique().tolist()
    if len(names) != 2:
        listed = ", ".join(repr(name) for name in names[:5])
        raise ValueError(
            f"column {condition!r} has {len(names)} conditions ({listed}), but 2 are compared: choose their rows, for "
            f"example with table[table[{condition!r}].isin([...])]."
        )
    if reference is not None:
        if reference not in names:
            raise ValueError(f"reference is {reference!r}, but must be one of {names[0]!r} and {names[1]!r}.")
        names.sort(key=lambda name: name != reference)
    first, second = names
    return _Design(value, (first, second), (int(cells[first]), int(cells[second])), confidence)


def _means_of_replicates(table: "pd.DataFrame", columns: list[str]) -> dict[tuple[str, str], float]:
    value, condition, replicate = columns
    values = table[[condition, replicate]].assign(value=numbers_of(table, value))
    means = values.groupby([condition, replicate], sort=False, observed=True)["value"].mean()
    return {(name, number): float(mean) for (name, number), mean in means.items()}


def _welch(design: _Design, unit: Unit, first: Numbers, second: Numbers) -> Comparison:
    degrees = np.array([len(first), len(second)]) - 1
    variances = np.array([first.var(ddof=1), second.var(ddof=1)])
    parts = variances / (degrees + 1)
    with np.errstate(invalid="ignore"):
        welch_degrees = float(parts.sum() ** 2 / (parts**2 / degrees).sum())
    pooled = math.sqrt(float((degrees * variances).sum() / degrees.sum()))
    spread = _Spread(math.sqrt(float(parts.sum())), welch_degrees, pooled, int(degrees.sum()))
    return _comparison(design, unit, first, second, spread)


def _spread_in_pairs(first: Numbers, second: Numbers) -> tuple[float, float]:
    """Return the pooled spread within conditions, and its degrees of freedom (Satterthwaite).

    Examples
    --------
    Conditions that go up and down together tell no more of the spread than one alone:

    >>> _spread_in_pairs(np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0, 7.0]))
    (1.0, 2.0)
    """
    covariance = np.cov(first, second)
    variances = np.diagonal(covariance)
    with np.errstate(invalid="ignore"):
        degrees = (len(first) - 1) * float(variances.sum() ** 2 / (covariance**2).sum())
    return math.sqrt(float(variances.mean())), degrees


def _comparison(design: _Design, unit: Unit, first: Numbers, second: Numbers, spread: _Spread) -> Comparison:
    from scipy import special

    means = (float(first.mean()), float(second.mean()))
    difference = means[1] - means[0]
    if not spread.standard_error > 1e-12 * max(abs(mean) for mean in means):
        raise ValueError(
            f"the {unit} of {design.value!r} do not differ from one another, so that there is no spread to compare "
            f"with: check that the column was measured anew in each."
        )
    t = difference / spread.standard_error
    reach = float(special.stdtrit(spread.degrees_of_freedom, (1 + design.confidence) / 2)) * spread.standard_error
    return Comparison(
        value=design.value,
        unit=unit,
        conditions=design.conditions,
        means=means,
        difference=difference,
        interval=(difference - reach, difference + reach),
        confidence=design.confidence,
        standard_error=spread.standard_error,
        degrees_of_freedom=spread.degrees_of_freedom,
        hedges_g=_small_sample_factor(spread.degrees_between) * difference / spread.between_observations,
        p_value=float(2 * special.stdtr(spread.degrees_of_freedom, -abs(t))),
        observations=(len(first), len(second)),
        cells=design.cells,
    )


def _small_sample_factor(degrees: float) -> float:
    """Return J, which takes the bias of few observations off an effect in units of their spread; NaN for one degree.

    Examples
    --------
    >>> round(_small_sample_factor(8), 4)
    0.9027
    """
    if degrees < 1.5:
        return math.nan
    return math.exp(math.lgamma(degrees / 2) - math.lgamma((degrees - 1) / 2)) / math.sqrt(degrees / 2)
