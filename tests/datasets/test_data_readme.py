"""data/README.md and data/LICENSES.md tell people what data/registry.toml tells the code."""

import pytest

from course_lib import datasets
from course_lib.datasets.registry import data_folder


def readme_row(dataset: datasets.Dataset) -> str:
    if dataset.origin is None:
        return (
            f"| {dataset.name} | [{dataset.file}]({dataset.url}) | {dataset.description} "
            f"| {dataset.licence} | {dataset.citation} |"
        )
    voxel = "unknown" if dataset.voxel_size_um is None else f"{dataset.voxel_size_um[-1]:.4g} µm"
    return (
        f"| {dataset.name} | {dataset.file} | {dataset.description} | {dataset.axes}, {voxel} | {dataset.unit} "
        f"| {dataset.origin.package} {dataset.origin.version}: {dataset.origin.path} "
        f"| {dataset.licence} | {dataset.citation} |"
    )


@pytest.mark.parametrize("name", datasets.names())
def test_readme_has_the_row_of_each_data_set(name: str) -> None:
    lines = (data_folder() / "README.md").read_text(encoding="utf-8").splitlines()
    assert readme_row(datasets.describe(name)) in lines


def test_readme_has_no_other_row() -> None:
    text = (data_folder() / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| name |")]
    assert len(rows) == len(datasets.names())


def test_licences_name_each_packaged_data_set_under_its_package() -> None:
    sections = (data_folder() / "LICENSES.md").read_text(encoding="utf-8").split("\n## ")[1:]
    for name in datasets.names():
        origin = datasets.describe(name).origin
        if origin is not None:
            (section,) = [text for text in sections if text.startswith(f"{origin.package} {origin.version}:")]
            assert name in section.splitlines()[0]
            assert "Redistributions in binary form must reproduce the above copyright" in section
