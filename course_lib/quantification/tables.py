"""Tables on disk, with their units and provenance: CSV that any program reads, or Parquet.

A CSV file begins with lines that say what the table is, each with a key and its value as JSON; spreadsheets show them
above the table, and other programs skip lines that begin with ``#``::

    # course_lib table: 1
    # rows: 2
    # types: {"ID": "int64", "Type": "str", "area_um2": "float64"}
    # provenance: {"voxel_size_um": [0.1, 0.1]}
    ID,Type,area_um2
    1,round,12.25
    2,,8.5

Numbers are written with as many digits as give the same number back. The types keep a Type of "007" from becoming 7,
and the number of rows tells a file that was cut off. In Parquet the same attributes are metadata of the schema.

A file appears under its name when it is complete, as images do.
"""

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.images.replacing import replacing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table", "write_table"]

FORMAT = "course_lib table"
ENDINGS = (".csv", ".parquet")
PARQUET_KEY = b"course_lib_table"
RESERVED = (FORMAT, "rows", "types")


def write_table(path: str | os.PathLike[str], table: "pd.DataFrame", *, overwrite: bool = False) -> None:
    """Write a table with its attributes (`table.attrs`), so that `read_table` gives the same.

    Parameters
    ----------
    path : str or path
        A name that ends in ``.csv`` or ``.parquet``, which says how it is stored.
    table : pandas.DataFrame
        Columns of whole numbers, numbers, truth values and texts, with different names. Its index is not stored.
        A missing text is read as an empty one from CSV.
    overwrite : bool
        Whether a file of that name may be replaced; an older one stays until the new one is complete.

    Raises
    ------
    ValueError
        If the name has another ending, names of columns occur twice, are empty or begin with ``#``, or Parquet is asked
        for without pyarrow.
    TypeError
        If the table is no DataFrame, has a column of another type, or an attribute that is not JSON.
    OSError
        If the file is there and may not be replaced, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> table = pd.DataFrame({"ID": [1, 2], "Type": ["round", ""], "area_um2": [12.25, 8.5]})
    >>> table.attrs["provenance"] = {"voxel_size_um": [0.1, 0.1]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table(folder + "/cells.csv", table)
    ...     same = read_table(folder + "/cells.csv")
    >>> same.equals(table), same.attrs["provenance"]
    (True, {'voxel_size_um': [0.1, 0.1]})
    """
    path = _checked_path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already: choose another name, or pass overwrite=True to replace it.")
    _check_columns(table)
    attributes = _attributes(table)
    if path.suffix.lower() == ".parquet":
        pyarrow = _pyarrow()
        stored = pyarrow.Table.from_pandas(table, preserve_index=False)
        metadata = {**(stored.schema.metadata or {}), PARQUET_KEY: json.dumps(attributes).encode()}
        with replacing(path) as file:
            pyarrow.parquet.write_table(stored.replace_schema_metadata(metadata), file)
        return
    types = {name: _type_name(table[name]) for name in table.columns}
    head = {FORMAT: 1, "rows": len(table), "types": types, **attributes}
    with replacing(path) as file:
        for key, value in head.items():
            file.write(f"# {key}: {json.dumps(value, ensure_ascii=False)}\n".encode())
        table.to_csv(file, index=False, lineterminator="\n", encoding="utf-8")


def read_table(path: str | os.PathLike[str]) -> "pd.DataFrame":
    """Read a table that `write_table` wrote, or another CSV file, with commas and decimal points, or Parquet file.

    Parameters
    ----------
    path : str or path
        A name that ends in ``.csv`` or ``.parquet``.

    Returns
    -------
    pandas.DataFrame
        With its attributes in ``attrs``, as far as the file has them.

    Raises
    ------
    ValueError
        If the name has another ending, the file is empty, cut off or damaged, a CSV file has semicolons or tabs between
        its columns, or Parquet needs pyarrow.
    OSError
        If the file is not there or cannot be read.
    """
    path = _checked_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file: check the name and the folder.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty: write it anew.")
    return _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)


def _read_parquet(path: Path) -> "pd.DataFrame":
    pyarrow = _pyarrow()
    try:
        stored = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is no complete Parquet file ({_first_line(error)}): write it anew.") from None
    table = stored.to_pandas()
    table.attrs = json.loads((stored.schema.metadata or {}).get(PARQUET_KEY, b"{}"))
    return table


def _read_csv(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 (byte {error.start}): save it as CSV UTF-8, or see whether it is a table at all."
        ) from None
    head, body = _split(text)
    if FORMAT not in head:
        _check_separator(path, body.partition("\n")[0])
        try:
            return pd.read_csv(io.StringIO(body))
        except ValueError as error:
            raise ValueError(f"{path} is no table of comma-separated values ({_first_line(error)}).") from None
    try:
        rows, types = json.loads(head["rows"]), json.loads(head["types"])
        numbers = [name for name, kind in types.items() if kind.startswith("float")]
        texts = {name: "str" if name in numbers else kind for name, kind in types.items()}
        table = pd.read_csv(io.StringIO(body), dtype=texts, keep_default_na=False, lineterminator="\n")
        if list(table.columns) != list(types) or len(table) != rows or not body.endswith("\n"):
            raise ValueError(f"{len(table)} of {rows} rows are there")
        for name in numbers:  # pandas parses to the last digit only in some versions
            written = table[name].to_numpy(dtype=np.str_)
            table[name] = np.where(written == "", "nan", written).astype(types[name])
        table.attrs = {key: json.loads(value) for key, value in head.items() if key not in RESERVED}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is cut off or was changed ({_first_line(error)}): write it anew.") from None
    return table


def _check_separator(path: Path, names: str) -> None:
    separator = next((mark for mark in (";", "\t") if mark in names and "," not in names), None)
    if separator is not None:
        raise ValueError(
            f"{path} has {separator!r} between its columns, but must have commas, and points in its numbers: "
            f"pandas.read_csv(path, sep={separator!r}, decimal=',') reads it, or '.' for the decimal."
        )


def _split(text: str) -> tuple[dict[str, str], str]:
    """Part the lines with attributes from the table; a program that saved it anew may have changed its line ends."""
    head: dict[str, str] = {}
    if text.startswith("#") and text.partition("\n")[0].endswith("\r"):
        text = text.replace("\r\n", "\n")
    while text.startswith("#"):
        line, _, text = text.partition("\n")
        key, _, value = line.removeprefix("#").strip().partition(": ")
        head[key] = value
    return head, text


def _checked_path(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path} must end in {' or '.join(ENDINGS)}, which says how a table is stored: rename it.")
    return path


def _check_columns(table: "pd.DataFrame") -> None:
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"table is a {type(table).__name__}, but must be a pandas.DataFrame: pandas.DataFrame(table) makes one."
        )
    if len(table.columns) == 0:
        raise ValueError("the table has no columns, so that there is nothing to write.")
    for name in table.columns:
        if not isinstance(name, str) or not name or name.startswith("#"):
            raise ValueError(
                f"a column is named {name!r}, but names must be texts that do not begin with #: rename it."
            )
    twice = table.columns[table.columns.duplicated()].tolist()
    if twice:
        raise ValueError(f"the name {twice[0]!r} stands above more than one column: rename one of them.")
    for name in table.columns:
        _type_name(table[name])


def _type_name(column: "pd.Series[Any]") -> str:
    """Return "str", "bool", or the type of numbers; raise for all else."""
    import pandas as pd

    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.dtype.name
    if pd.api.types.infer_dtype(column, skipna=True) in ("string", "empty") and not isinstance(
        column.dtype, pd.CategoricalDtype
    ):
        return "str"
    raise TypeError(
        f"column {column.name!r} has the type {column.dtype}, but tables on disk hold numbers, truth values and texts: "
        f"table[{column.name!r}].astype(str) makes texts."
    )


def _attributes(table: "pd.DataFrame") -> dict[str, Any]:
    attributes = {str(key): value for key, value in table.attrs.items()}
    for key, value in attributes.items():
        if key in RESERVED or not key or key != key.strip() or ": " in key or "\n" in key:
            raise ValueError(f"table.attrs has the key {key!r}, which has a meaning of its own in a file: rename it.")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise TypeError(
                f"table.attrs[{key!r}] is {value!r}, which is not JSON: use texts, finite numbers, lists and dicts."
            ) from None
    return attributes


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(
            "Parquet needs the package pyarrow, which is not installed: pip install "
            "'deep-learning-microscopy-course[parquet]', or use a name that ends in .csv."
        ) from None
    return pyarrow


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(". ") or type(error).__name__
