"""How a table of features was made, and the units of its columns, for its ``attrs`` and for files."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from course_lib import __version__
from course_lib.noise import Camera
from course_lib.quantification._plan import Plan
from course_lib.quantification.background import Background

__all__ = ["background_of_frames", "provenance", "units"]

ENDINGS = {"_um": "µm", "_um2": "µm²", "_um3": "µm³", "_rad": "rad", "_px": "px", "_bits": "bit", "_s": "s"}


def units(columns: Iterable[str], *, of_light: str) -> dict[str, str]:
    """Return the unit of each column that has one.

    Examples
    --------
    >>> units(["ID", "area_um2", "photons_mean_dna", "texture_contrast"], of_light="photons")
    {'area_um2': 'µm²', 'photons_mean_dna': 'photons', 'texture_contrast': 'photons²'}
    """
    found = {}
    for column in columns:
        if "_centre_" in column:
            found[column] = "µm"
        elif column.startswith(("intensity_", "photons_")):
            found[column] = of_light
        elif column.startswith("texture_contrast"):
            found[column] = f"{of_light}²"
        elif column.startswith("texture_entropy_bits"):
            found[column] = "bit"
        else:
            ending = next((ending for ending in ENDINGS if column.endswith(ending)), None)
            if ending is not None:
                found[column] = ENDINGS[ending]
    return found


def provenance(
    plan: Plan, *, command: str, shape: tuple[int, ...], backgrounds: Mapping[str, Any], columns: Iterable[str]
) -> dict[str, Any]:
    """Return what a reader of the table has to know, in plain values that JSON can hold."""
    return {
        "library": f"deep-learning-microscopy-course {__version__}",
        "command": command,
        "shape": list(shape),
        "voxel_size_um": list(plan.voxel_size_um),
        "features": list(plan.features),
        "neighbour_distance_um": plan.neighbour_distance_um,
        "background": {name: _background(level) for name, level in backgrounds.items()},
        "camera": None if plan.camera is None else _camera(plan.camera),
        "exposure_ms": None if plan.camera is None else plan.exposure_ms,
        "units": units(columns, of_light="photons" if plan.counts_photons else "grey values"),
    }


def _background(level: Any) -> Any:
    if isinstance(level, Background):
        return dataclasses.asdict(level)
    return level if level is None or isinstance(level, float) else "an image, taken as known without error"


def background_of_frames(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the backgrounds that tables of single frames name: of each channel one, or a list where frames differ.

    Examples
    --------
    >>> background_of_frames([{"background": {"dna": 3.0, "actin": 1.0}}, {"background": {"dna": 2.5, "actin": 1.0}}])
    {'dna': [3.0, 2.5], 'actin': 1.0}
    """
    found = {}
    for name, first in records[0]["background"].items():
        levels = [record["background"][name] for record in records]
        found[name] = first if all(level == first for level in levels) else levels
    return found


def _camera(camera: Camera) -> dict[str, Any]:
    values = {declared.name: getattr(camera, declared.name) for declared in camera.declared()}
    return {
        name: f"map of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else value
        for name, value in values.items()
    }
