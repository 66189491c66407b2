"""Importing is cheap, and each part of the library stands on those below it alone."""

import subprocess
import sys
from pathlib import Path

import pytest

import course_lib

PARTS = sorted(
    path.stem
    for path in Path(course_lib.__file__).parent.iterdir()
    if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
)


def modules_after(statement: str) -> set[str]:
    """Names of the modules that a fresh Python holds after `statement`."""
    program = f"import sys; {statement}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_the_package_itself_loads_nothing_heavy() -> None:
    assert not modules_after("import course_lib") & {"torch", "numpy", "scipy", "skimage", "matplotlib", "pooch"}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_imports_on_its_own_and_leaves_the_slow_libraries_for_later(part: str) -> None:
    loaded = modules_after(f"import course_lib.{part}")
    assert f"course_lib.{part}" in loaded
    faces = {"plotting": {"matplotlib"}, "live": {"matplotlib"}, "cli": {"matplotlib"}}.get(part, set())
    assert not loaded & ({"scipy", "skimage", "pandas", "matplotlib", "onnx", "onnxruntime", "ipywidgets"} - faces)
