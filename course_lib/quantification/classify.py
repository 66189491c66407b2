r"""Classes: fill the column Type by rules, or by a classifier that learned from objects named by hand.

**Rules** are limits on features, such as "small and bright", and everyone can read and repeat them. The first rule that
an object meets gives its type.

**A classifier** is any object with ``fit(features, types)`` and ``predict(features)``, as those of scikit-learn. What
it is worth shows on objects it has not seen, and objects of one dish are like one another: split at random, each cell
of the test has sisters in the training, and the score is too good. `validate_classifier` therefore leaves out one whole
replicate after the other. Per replicate it counts

.. math:: \text{balanced accuracy} = \frac{1}{K} \sum_{k=1}^{K} \frac{\text{objects of type } k \text{ called } k}
                                     {\text{objects of type } k} ,

which guessing brings to :math:`1/K` however rare a type is, and the spread between replicates is the uncertainty.

References
----------
D. R. Roberts et al., "Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic
structure", Ecography 40 (2017) 913.
K. H. Brodersen, C. S. Ong, K. E. Stephan, J. M. Buhmann, "The balanced accuracy and its posterior distribution", ICPR
(2010) 3121.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from course_lib.quantification._table import check_table, numbers_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Classifier", "ClassifierValidation", "Limits", "Rule", "classify", "predict_types", "validate_classifier"]


class Classifier(Protocol):
    """What is used of a classifier of scikit-learn, or of any other."""

    def fit(self, features: Any, types: Any, /) -> Any:
        """Learn from features, shape (objects, columns), and their types, shape (objects,)."""

    def predict(self, features: Any, /) -> Any:
        """Return a type for each object."""


@dataclass(frozen=True)
class Limits:
    """A range of one feature.

    Attributes
    ----------
    column : str
        Of the table.
    at_least, below : float
        The range, with its lower end and without its upper end.

    Examples
    --------
    >>> Limits("area_um2", below=60.0)
    Limits(column='area_um2', at_least=-inf, below=60.0)
    """

    column: str
    at_least: float = -math.inf
    below: float = math.inf

    def __post_init__(self) -> None:
        """Check the range."""
        if not self.at_least < self.below:
            raise ValueError(
                f"the range of {self.column!r} is from {self.at_least:g} to {self.below:g}, but at_least must be "
                f"smaller than below."
            )


@dataclass(frozen=True)
class Rule:
    """A type, and the limits that all hold for it.

    Attributes
    ----------
    type : str
        What the object is called.
    limits : tuple of Limits
        All of them hold.

    Examples
    --------
    >>> Rule("in division", (Limits("area_um2", below=60.0), Limits("intensity_mean", at_least=300.0))).type
    'in division'
    """

    type: str
    limits: tuple[Limits, ...]


@dataclass(frozen=True, eq=False)
class ClassifierValidation:
    """What a classifier did with replicates that it had not seen.

    Attributes
    ----------
    types : tuple of str
        In alphabetical order.
    replicates : tuple
        In the order of the table.
    confusion : numpy.ndarray of int, shape (replicates, types, types)
        Objects of each true type (rows) by what they were called (columns).
    """

    types: tuple[str, ...]
    replicates: tuple[Any, ...]
    confusion: NDArray[np.int64]

    @property
    def balanced_accuracies(self) -> NDArray[np.float64]:
        """Of each replicate: the mean over the types that it has of the share that was recognized."""
        true = self.confusion.sum(axis=2)
        right = np.diagonal(self.confusion, axis1=1, axis2=2)
        return np.asarray((right / np.maximum(true, 1)).sum(axis=1) / (true > 0).sum(axis=1))

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the replicates."""
        return float(self.balanced_accuracies.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean, from the spread between replicates, within 0 and 1.

        The replicates left out are not fully independent, since each pair of trainings has most replicates in common;
        so the interval is somewhat too narrow.
        """
        from scipy import special

        count = len(self.replicates)
        error = float(self.balanced_accuracies.std(ddof=1)) / math.sqrt(count)
        reach = float(special.stdtrit(count - 1, 0.975)) * error
        return max(0.0, self.balanced_accuracy - reach), min(1.0, self.balanced_accuracy + reach)


def classify(table: "pd.DataFrame", *, rules: Sequence[Rule], otherwise: str = "") -> "pd.DataFrame":
    """Fill the column Type by rules.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an object.
    rules : sequence of Rule
        The first that an object meets gives its type.
    otherwise : str
        The type of objects that meet none.

    Returns
    -------
    pandas.DataFrame
        A copy.

    Raises
    ------
    ValueError
        If there is no rule, a rule has no limits, or a column is not there or misses values.
    TypeError
        If the table is no DataFrame, or a column holds no numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"ID": [1, 2, 3], "area_um2": [30.0, 90.0, 50.0], "intensity_mean": [500.0, 100.0, 90.0]})
    >>> small, bright = Limits("area_um2", below=60.0), Limits("intensity_mean", at_least=300.0)
    >>> rules = [Rule("in division", (small, bright)), Rule("debris", (small,))]
    >>> classify(table, rules=rules, otherwise="nucleus")["Type"].tolist()
    ['in division', 'nucleus', 'debris']
    """
    if not rules or not all(rule.limits for rule in rules):
        raise ValueError(
            "there is no rule, or one without limits, which every object meets: use otherwise= for the rest."
        )
    columns = list(dict.fromkeys(limit.column for rule in rules for limit in rule.limits))
    check_table(table, columns=columns)
    values = {column: numbers_of(table, column) for column in columns}
    types = np.full(len(table), otherwise, dtype=object)
    for rule in reversed(rules):
        met = [(limit.at_least <= values[limit.column]) & (values[limit.column] < limit.below) for limit in rule.limits]
        types[np.all(met, axis=0)] = rule.type
    return _with_types(table, types)


def predict_types(table: "pd.DataFrame", *, classifier: Classifier, columns: Sequence[str]) -> "pd.DataFrame":
    """Fill the column Type by a classifier that has learned.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an object.
    classifier : object with ``predict``
        Fitted to the same columns in the same order.
    columns : sequence of str
        The features. Features in units of the image, as intensities, belong to one instrument and one setting.

    Returns
    -------
    pandas.DataFrame
        A copy.

    Raises
    ------
    ValueError
        If a column is not there or misses values, or the classifier returns another number of types.
    TypeError
        If the table is no DataFrame, or a column holds no numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> class Large:
    ...     def fit(self, features, types): return self
    ...     def predict(self, features): return np.where(features[:, 0] > 50, "large", "small")
    >>> table = pd.DataFrame({"ID": [1, 2], "area_um2": [30.0, 90.0]})
    >>> predict_types(table, classifier=Large(), columns=["area_um2"])["Type"].tolist()
    ['small', 'large']
    """
    return _with_types(table, _predicted(classifier, _features(table, columns)))


def validate_classifier(
    table: "pd.DataFrame", *, classifier: Classifier, columns: Sequence[str], replicate: str, truth: str = "Type"
) -> ClassifierValidation:
    """Test a classifier on each replicate, after training it on all the others.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an object, with its true type.
    classifier : object with ``fit`` and ``predict``
        It is copied for each training and stays as it is.
    columns : sequence of str
        The features.
    replicate : str
        Column with the dish, animal or day of each object, at least 2 of them.
    truth : str
        Column with the true type.

    Returns
    -------
    ClassifierValidation

    Raises
    ------
    ValueError
        If a column is not there or misses values, there are fewer than 2 replicates, the replicates of a training have
        fewer than 2 types, or the classifier names a type that no object has.
    TypeError
        If the table is no DataFrame, or a column of features holds no numbers.
    """
    check_table(table, columns=[truth, replicate])
    features, types = _features(table, columns), table[truth].to_numpy(dtype=object)
    groups = table[replicate].to_numpy()
    names = tuple(sorted({str(one) for one in types}))
    replicates = tuple(table[replicate].unique().tolist())
    if len(replicates) < 2:
        raise ValueError(
            f"column {replicate!r} has {len(replicates)} replicate, but to leave one out there must be at least 2."
        )
    confusion = np.zeros((len(replicates), len(names), len(names)), np.int64)
    for counts, left_out in zip(confusion, replicates, strict=True):
        test = groups == left_out
        if len(set(types[~test])) < 2:
            raise ValueError(
                f"without replicate {left_out!r}, all objects are of one type, so that nothing can be learned: name "
                f"objects of each type in several replicates."
            )
        trained = copy.deepcopy(classifier)
        trained.fit(features[~test], types[~test].astype(str))
        for true, called in zip(types[test], _predicted(trained, features[test]), strict=True):
            if called not in names:
                raise ValueError(
                    f"the classifier calls an object {called!r}, but the types in column {truth!r} are "
                    f"{', '.join(map(repr, names))}: use the same names in both."
                )
            counts[names.index(str(true)), names.index(called)] += 1
    return ClassifierValidation(names, replicates, confusion)


def _features(table: "pd.DataFrame", columns: Sequence[str]) -> NDArray[np.float64]:
    if isinstance(columns, str) or not columns:
        raise ValueError(f"columns is {columns!r}, but must be a list of at least one column.")
    check_table(table, columns=columns)
    return np.stack([numbers_of(table, column) for column in columns], axis=1)


def _predicted(classifier: Classifier, features: NDArray[np.float64]) -> list[str]:
    types = [str(one) for one in classifier.predict(features)]
    if len(types) != len(features):
        raise ValueError(
            f"the classifier returned {len(types)} types for {len(features)} objects: it must return one each."
        )
    return types


def _with_types(table: "pd.DataFrame", types: Any) -> "pd.DataFrame":
    import pandas as pd

    return table.assign(Type=pd.Series(list(types), index=table.index, dtype="str"))
