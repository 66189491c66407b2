"""What every tool of this subpackage asks of a table and its columns; each message has the remedy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_table", "numbers_of"]


def check_table(table: "pd.DataFrame", *, columns: Sequence[str]) -> "pd.DataFrame":
    """Return a table; raise unless it is one, has rows, and has the columns, without missing values.

    Examples
    --------
    >>> import pandas as pd
    >>> check_table(pd.DataFrame({"ID": [1]}), columns=["dish"])
    Traceback (most recent call last):
    ValueError: the table has no column 'dish': it has ID.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"table is a {type(table).__name__}, but must be a pandas.DataFrame: pandas.DataFrame(table) makes one."
        )
    for column in columns:
        if column not in table.columns:
            there = ", ".join(map(str, table.columns)) or "none"
            raise ValueError(f"the table has no column {column!r}: it has {there}.")
        missing = int(table[column].isna().sum())
        if missing:
            raise ValueError(
                f"column {column!r} has {missing} missing values: drop those rows with "
                f"table.dropna(subset=[{column!r}]), after a look at why they are missing."
            )
    if len(table) == 0:
        raise ValueError("the table has no rows, so that there is nothing to analyse: look at what was segmented.")
    return table


def numbers_of(table: "pd.DataFrame", column: str) -> NDArray[np.float64]:
    """Return a checked column as float64; raise unless it holds finite numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> numbers_of(pd.DataFrame({"area_um2": ["wide"]}), "area_um2")
    Traceback (most recent call last):
    TypeError: column 'area_um2' holds 'wide', but must hold numbers: pandas.to_numeric converts it.
    """
    values: NDArray[Any] = table[column].to_numpy()
    if values.dtype.kind not in "biuf":
        raise TypeError(f"column {column!r} holds {values[0]!r}, but must hold numbers: pandas.to_numeric converts it.")
    values = values.astype(float)
    if not np.isfinite(values).all():
        raise ValueError(f"column {column!r} has {int((~np.isfinite(values)).sum())} infinite values: drop those rows.")
    return values
