"""environment.yml, pyproject.toml and constraints.txt name the same packages, in versions that agree."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


@pytest.fixture(scope="module")
def declared(root: Path) -> dict[str, Requirement]:
    """All requirements of pyproject.toml, extras included, by name."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


@pytest.fixture(scope="module")
def pinned(root: Path) -> dict[str, str]:
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


@pytest.fixture(scope="module")
def conda(root: Path) -> dict[str, Requirement]:
    """The packages that environment.yml installs through pip, by name."""
    dependencies = yaml.safe_load((root / "environment.yml").read_text())["dependencies"]
    (through_pip,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    packages = [Requirement(line) for line in through_pip if not line.startswith("--")]
    return {canonicalize_name(package.name): package for package in packages}


def test_every_pin_is_one_version_without_a_local_part(pinned: dict[str, str]) -> None:
    for name, version in pinned.items():
        assert Version(version).local is None, name


def test_every_declared_package_is_pinned_within_its_range(
    declared: dict[str, Requirement], pinned: dict[str, str]
) -> None:
    assert declared.keys() <= pinned.keys()
    for name, requirement in declared.items():
        assert requirement.specifier.contains(pinned[name]), f"{requirement} excludes the pin {pinned[name]}"


def test_the_conda_environment_has_every_declared_package_and_no_other(
    declared: dict[str, Requirement], conda: dict[str, Requirement]
) -> None:
    assert conda.keys() == declared.keys()


def test_the_conda_environment_allows_the_pins(conda: dict[str, Requirement], pinned: dict[str, str]) -> None:
    for name, requirement in conda.items():
        assert requirement.specifier.contains(pinned[name]), f"{requirement} excludes the pin {pinned[name]}"


def test_each_package_of_the_conda_environment_says_what_needs_it(root: Path) -> None:
    lines = (root / "environment.yml").read_text().split("- --editable .\n")[1].splitlines()
    silent = [line.strip() for line in lines if line.strip().startswith("- ") and "#" not in line]
    headed = {
        "- pytest",
        "- hypothesis",
        "- ruff",
        "- mypy",
        "- import-linter",
        "- pre-commit",
    }  # below "tests", "style"
    assert set(silent) <= headed


def test_torch_is_the_release_the_course_was_written_for(pinned: dict[str, str], conda: dict[str, Requirement]) -> None:
    assert pinned["torch"] == "2.13.0"
    assert str(conda["torch"].specifier) == "==2.13.0"
    assert "torchvision" not in pinned
