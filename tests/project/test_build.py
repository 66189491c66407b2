"""The builder of the site: what makes it build anew, and npm on a machine without Node."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def build(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("build", root / "book" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_digest_sees_a_changed_byte_and_a_changed_name(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "a").write_bytes(b"1")
    first = build.digest([tmp_path])
    (tmp_path / "a").write_bytes(b"2")
    second = build.digest([tmp_path])
    (tmp_path / "a").rename(tmp_path / "b")
    third = build.digest([tmp_path])
    assert len({first, second, third}) == 3
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "b.pyc").write_bytes(b"3")
    assert build.digest([tmp_path]) == third


def test_an_output_is_sentences_unless_spaces_align_it(build: ModuleType) -> None:
    begin, end = '<div class="output stream"><div class="highlight"><pre>', "</pre></div></div>"
    pattern = r'<div class="(output [^"]*"><div class="highlight"><pre>)(.*?)</pre>'
    sentence = f"{begin}A <span>long</span> line.\n    indented {end}"
    assert re.sub(pattern, build.told, sentence, flags=re.S) == sentence.replace("output", "sentences output")
    columns = f"{begin}raw   <b> 1.0</b>{end}"
    assert re.sub(pattern, build.told, columns) == columns


def test_npm_comes_with_the_packages_where_it_is_not_installed(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    run = subprocess.run([*build.npm(), "--version"], capture_output=True, text=True, check=True)
    assert int(run.stdout.split(".")[0]) >= 10


def test_every_file_that_the_site_ships_of_a_package_is_there(build: ModuleType, root: Path) -> None:
    for target in (*build.VENDORED.values(), *build.GZIPPED.values()):
        assert (root / "book" / "_generated" / target).exists(), target
