"""What is written is read again, as it was, or not at all."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_lib.quantification import read_table, write_table

ENDINGS = (".csv", ".parquet")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(lambda n: n[0] != "#")
COLUMNS = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "float64": st.floats(),
    "float32": st.floats(width=32),
    "bool": st.booleans(),
    "str": TEXTS,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(0, 5))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(sorted(COLUMNS)))
        columns[name] = pd.Series(draw(st.lists(COLUMNS[kind], min_size=rows, max_size=rows)), dtype=kind)
    table = pd.DataFrame(columns)
    table.attrs = {"provenance": draw(JSON)}
    return table


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_a_table_comes_back_as_it_was(tmp_path: Path, ending: str, table: pd.DataFrame) -> None:
    path = tmp_path / f"a{ending}"
    write_table(path, table, overwrite=True)
    same = read_table(path)
    pd.testing.assert_frame_equal(same, table, check_exact=True)
    assert same.attrs == table.attrs


@pytest.mark.parametrize("ending", ENDINGS)
def test_measured_tables_with_units_and_unicode(tmp_path: Path, ending: str) -> None:
    table = pd.DataFrame(
        {
            "ID": np.array([3, 9], np.int32),
            "Type": ["Zellkern µ", "007"],
            "area_um2": [12.25, np.nan],
            "touches_border": [True, False],
        }
    )
    table.attrs["provenance"] = {"voxel_size_um": [0.1, 0.2], "command": "course measure 细胞.tif"}
    write_table(tmp_path / f"Zellen ü{ending}", table)
    same = read_table(str(tmp_path / f"Zellen ü{ending}"))
    pd.testing.assert_frame_equal(same, table, check_exact=True)
    assert same.attrs == table.attrs


def test_the_csv_is_the_text_that_the_module_shows(tmp_path: Path) -> None:
    table = pd.DataFrame({"ID": [1, 2], "Type": ["round", ""], "area_um2": [12.25, 8.5]})
    table.attrs["provenance"] = {"voxel_size_um": [0.1, 0.1]}
    write_table(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_text("utf-8").splitlines() == [
        "# course_lib table: 1",
        "# rows: 2",
        '# types: {"ID": "int64", "Type": "str", "area_um2": "float64"}',
        '# provenance: {"voxel_size_um": [0.1, 0.1]}',
        "ID,Type,area_um2",
        "1,round,12.25",
        "2,,8.5",
    ]
    by_others = pd.read_csv(tmp_path / "a.csv", comment="#")
    assert by_others["area_um2"].tolist() == [12.25, 8.5]


def test_parquet_is_read_by_pandas(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", pd.DataFrame({"ID": [4, 5]}))
    assert pd.read_parquet(tmp_path / "a.parquet")["ID"].tolist() == [4, 5]


def test_files_of_others_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfID,area\r\n1,2.5\r\n2,\r\n")
    found = read_table(tmp_path / "a.csv")
    assert found["ID"].tolist() == [1, 2]
    assert found["area"].isna().tolist() == [False, True]
    assert found.attrs == {}
    pd.DataFrame({"ID": [1]}).to_parquet(tmp_path / "b.parquet")
    assert read_table(tmp_path / "b.parquet")["ID"].tolist() == [1]


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("ID;area\n1;2,5\n2;8,25\n", "';'"),
        ("ID;area;x\r\n1;2,5;3\r\n2;8;25,5\r\n", "';'"),
        ("ID\tarea\n1\t2,5\n", r"'\\t'"),
    ],
)
def test_tables_with_decimal_commas_are_refused_with_the_way_to_read_them(tmp_path: Path, text: str, mark: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(
        ValueError, match=rf"has {mark} between its columns, but must have commas, .* decimal=','\) reads"
    ):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("ID,note; remark\n1,2.5\n")
    assert read_table(tmp_path / "b.csv").columns.tolist() == ["ID", "note; remark"]


def test_line_ends_of_windows_change_nothing(tmp_path: Path) -> None:
    table = pd.DataFrame({"ID": [1, 2], "area_um2": [2.5, 3.5], "Type": ["a", "b"]})
    table.attrs["provenance"] = {"unit": "µm"}
    write_table(tmp_path / "a.csv", table)
    (tmp_path / "a.csv").write_bytes((tmp_path / "a.csv").read_bytes().replace(b"\n", b"\r\n"))
    same = read_table(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(same, table)
    assert same.attrs == table.attrs


@pytest.mark.parametrize("text", ["\r", "\n", "\r\n", '"', ",", "a\rb", " ", "NA", "#", "'", "\0", "\ufeff"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_texts_with_a_meaning_in_csv(tmp_path: Path, ending: str, text: str) -> None:
    table = pd.DataFrame({"first": [text, f"{text}x"], "ID": [1, 2], "last": [f"x{text}", text]})
    write_table(tmp_path / f"a{ending}", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / f"a{ending}"), table)


def test_the_index_is_not_stored(tmp_path: Path) -> None:
    table = pd.DataFrame({"ID": [1, 2, 3]})
    for ending in ENDINGS:
        write_table(tmp_path / f"a{ending}", table[table["ID"] > 1])
        assert read_table(tmp_path / f"a{ending}").index.tolist() == [0, 1]


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_older_file_is_kept_unless_it_may_be_replaced(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    write_table(path, pd.DataFrame({"ID": [1]}))
    with pytest.raises(FileExistsError, match=r"is there already: choose another name, or pass overwrite=True"):
        write_table(path, pd.DataFrame({"ID": [2]}))
    assert read_table(path)["ID"].tolist() == [1]
    write_table(path, pd.DataFrame({"ID": [2]}), overwrite=True)
    assert read_table(path)["ID"].tolist() == [2]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failure_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{ending}"
    write_table(path, pd.DataFrame({"ID": [1]}))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        OSError, match=r"could not be written: No space left on device\. An older file there is as it was"
    ):
        write_table(path, pd.DataFrame({"ID": [2]}), overwrite=True)
    monkeypatch.undo()
    assert read_table(path)["ID"].tolist() == [1]
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_cut_off_anywhere_is_never_read_as_a_table(tmp_path: Path, ending: str) -> None:
    table = pd.DataFrame({"ID": [1, 22, 333], "Type": ['a "b"', "c\nd", ""], "area_um2": [1.25, np.nan, 3.125]})
    table.attrs["provenance"] = {"a": 1}
    path = tmp_path / f"a{ending}"
    write_table(path, table)
    whole = path.read_bytes()
    start = len(b"# course_lib table: 1\n") if ending == ".csv" else 0  # less of it is a file of somebody else
    for length in range(start, len(whole), 1 if ending == ".csv" else 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="write it anew"):
            read_table(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("# rows: 2", "# rows: 3"), r"cut off or was changed \(2 of 3 rows are there\)"),
        (lambda text: text.replace("ID,area", "area,ID"), "cut off or was changed"),
        (lambda text: text.replace("# types: ", "# kinds: "), "cut off or was changed"),
        (lambda text: text.replace('"int64"', '"nonsense"'), "cut off or was changed"),
        (lambda text: text.replace("\n1,", "\none,"), "cut off or was changed"),
        (lambda text: text.replace(",2.5", ",wide"), "cut off or was changed"),
        (lambda text: text.replace('{"ID"', '["ID"'), "cut off or was changed"),
        (lambda text: "", "is empty: write it anew"),
    ],
)
def test_changed_files(tmp_path: Path, change, message) -> None:
    path = tmp_path / "a.csv"
    write_table(path, pd.DataFrame({"ID": [1, 2], "area": [2.5, 3.5]}))
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    with pytest.raises(ValueError, match=message):
        read_table(path)


def test_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match=r"is not UTF-8 \(byte 0\): save it as CSV UTF-8"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text('a,b\n"1,2\n')
    with pytest.raises(ValueError, match=r"is no table of comma-separated values \(.*EOF"):
        read_table(tmp_path / "b.csv")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ValueError, match="is no complete Parquet file"):
        read_table(tmp_path / "c.parquet")
    with pytest.raises(FileNotFoundError, match=r"d\.csv is no file: check the name and the folder"):
        read_table(tmp_path / "d.csv")
    (tmp_path / "e.csv").mkdir()
    with pytest.raises(FileNotFoundError, match=r"e\.csv is no file"):
        read_table(tmp_path / "e.csv")


def test_names_that_do_not_say_how() -> None:
    for act in (lambda: read_table("cells.xlsx"), lambda: write_table("cells.xlsx", pd.DataFrame({"ID": [1]}))):
        with pytest.raises(ValueError, match=r"cells\.xlsx must end in \.csv or \.parquet, which says how"):
            act()


def test_parquet_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, pd.DataFrame({"ID": [1]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = r"Parquet needs the package pyarrow, which is not installed: pip install .*\[parquet\].*\.csv"
    with pytest.raises(ValueError, match=message):
        read_table(path)
    with pytest.raises(ValueError, match=message):
        write_table(tmp_path / "b.parquet", pd.DataFrame({"ID": [1]}))
    assert not (tmp_path / "b.parquet").exists()


def with_attributes(attributes: dict) -> pd.DataFrame:
    table = pd.DataFrame({"ID": [1]})
    table.attrs = attributes
    return table


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"ID": [1]}, TypeError, "table is a dict, but must be a pandas.DataFrame"),
        (pd.DataFrame(), ValueError, "the table has no columns, so that there is nothing to write"),
        (pd.DataFrame({3: [1]}), ValueError, "a column is named 3, but names must be texts that do not begin with #"),
        (pd.DataFrame({"": [1]}), ValueError, "a column is named ''"),
        (pd.DataFrame({"#ID": [1]}), ValueError, "a column is named '#ID'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "the name 'a' stands above more than one column"),
        (
            pd.DataFrame({"when": pd.to_datetime(["2024-01-01"])}),
            TypeError,
            r"column 'when' has the type datetime64.*, but tables on disk hold numbers, truth values and texts: ",
        ),
        (pd.DataFrame({"kind": pd.Categorical(["a"])}), TypeError, "column 'kind' has the type category"),
        (pd.DataFrame({"mixed": ["a", 1]}), TypeError, "column 'mixed' has the type object"),
        (pd.DataFrame({"wave": [1j]}), TypeError, "column 'wave' has the type complex128"),
        (with_attributes({"rows": 3}), ValueError, "table.attrs has the key 'rows', which has a meaning of its own"),
        (with_attributes({"a\nb": 3}), ValueError, "table.attrs has the key"),
        (with_attributes({"a": np.ones(2)}), TypeError, r"table.attrs\['a'\] is array.*, which is not JSON: use texts"),
        (with_attributes({"a": float("nan")}), TypeError, r"table.attrs\['a'\] is nan, which is not JSON"),
    ],
)
def test_tables_that_have_no_place_on_disk(tmp_path: Path, ending: str, table, error, message) -> None:
    with pytest.raises(error, match=message):
        write_table(tmp_path / f"a{ending}", table)
    assert not list(tmp_path.iterdir())


def test_attributes_travel_as_json_in_the_schema(tmp_path: Path) -> None:
    import pyarrow.parquet

    write_table(tmp_path / "a.parquet", with_attributes({"provenance": {"unit": "µm"}}))
    metadata = pyarrow.parquet.read_schema(tmp_path / "a.parquet").metadata
    assert json.loads(metadata[b"course_lib_table"]) == {"provenance": {"unit": "µm"}}
