"""The repository's address is decided in _config.yml; the few other places that must repeat it agree."""

import re
from pathlib import Path

import pytest
import yaml


@pytest.mark.parametrize("page", ["CITATION.cff", "book/setup.md"])
def test_the_address_is_that_of_the_configuration(root: Path, page: str) -> None:
    address = yaml.safe_load((root / "_config.yml").read_text())["repository"]["url"]
    assert address in (root / page).read_text()


def test_the_citation_names_the_published_site(root: Path) -> None:
    site = yaml.safe_load((root / "_config.yml").read_text())["html"]["baseurl"]
    assert yaml.safe_load((root / "CITATION.cff").read_text())["url"] == site


def test_the_locked_javascript_names_no_registry(root: Path) -> None:
    lock = (root / "book" / "package-lock.json").read_text()
    assert '"integrity"' in lock
    assert '"resolved"' not in lock


def test_the_citation_has_the_version_of_the_package(root: Path) -> None:
    version = re.search(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert yaml.safe_load((root / "CITATION.cff").read_text())["version"] == version[1]
