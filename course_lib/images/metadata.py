"""What the metadata of a TIFF file say about its pixels: voxel size in µm and, in our own files, the rest."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tifffile

from course_lib.images.writing import NAMESPACE

__all__ = ["Metadata", "metadata_of"]

_MICROMETRES = {
    "pm": 1e-6,
    "å": 1e-4,
    "nm": 1e-3,
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
    "in": 25400.0,
    "inch": 25400.0,
}


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What was found; `size_um` has the spatial axes whose size is known, `ours` the notes that `write` makes."""

    size_um: Mapping[str, float] = field(default_factory=dict)
    ours: Mapping[str, str] = field(default_factory=dict)


def metadata_of(tiff: tifffile.TiffFile, series: int) -> Metadata:
    """Read the metadata of one series; the print resolution (dpi) of a plain TIFF is no voxel size."""
    if tiff.ome_metadata is not None:
        return _of_ome(tiff.ome_metadata, series)
    if tiff.imagej_metadata is not None:
        return _of_imagej(tiff.imagej_metadata, tiff.pages.first.tags)
    return Metadata()


def _of_ome(xml: str, series: int) -> Metadata:
    root = ElementTree.fromstring(xml)
    pixels = root.findall("{*}Image/{*}Pixels")
    if series >= len(pixels):
        return Metadata()
    size_um = {}
    for letter in "ZYX":
        size = _in_um(
            pixels[series].get(f"PhysicalSize{letter}"), pixels[series].get(f"PhysicalSize{letter}Unit", "µm")
        )
        if size is not None:
            size_um[letter] = size
    ours = {}
    for annotation in root.findall("{*}StructuredAnnotations/{*}MapAnnotation"):
        if annotation.get("Namespace") == NAMESPACE:
            ours = {entry.get("K", ""): entry.text or "" for entry in annotation.findall("{*}Value/{*}M")}
    return Metadata(size_um=size_um, ours=ours)


def _of_imagej(fields: Mapping[str, Any], tags: tifffile.TiffTags) -> Metadata:
    unit = str(fields.get("unit", ""))
    found = {"Z": _in_um(fields.get("spacing"), unit)}
    for letter in "YX":
        tag = tags.get(f"{letter}Resolution")
        if tag is not None and tag.value[0] > 0:
            found[letter] = _in_um(tag.value[1] / tag.value[0], unit)
    return Metadata(size_um={letter: size for letter, size in found.items() if size is not None})


def _in_um(size: Any, unit: str) -> float | None:
    """Convert to µm; None where the size is missing or makes no sense, or the unit is no length."""
    name = unit.replace("\\u00B5", "µ").replace("μ", "µ").strip().lower()  # ImageJ's escape; Greek mu for micro
    try:
        size_um = float(size) * _MICROMETRES[name]
    except (TypeError, ValueError, KeyError):
        return None
    return size_um if math.isfinite(size_um) and size_um > 0 else None
