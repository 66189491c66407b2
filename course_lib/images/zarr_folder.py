"""Zarr folders: a plain array, or OME-Zarr with its axes, voxel size and unit. Zarr itself is optional."""

from pathlib import Path
from typing import Any

from course_lib.axes import AXES, check_axes
from course_lib.images.image import Unit

__all__ = ["opened_zarr", "require_zarr"]


def require_zarr() -> Any:
    """Import Zarr, which is not installed with the rest."""
    try:
        import zarr
    except ImportError:
        raise ValueError("Zarr is not installed: pip install zarr adds it, or use TIFF.") from None
    return zarr


def opened_zarr(path: Path, *, axes: str | None) -> tuple[Any, str, tuple[float, ...] | None, Unit]:
    """Return the array with its axes, voxel size and unit; `axes` name those of a plain array."""
    zarr = require_zarr()
    try:
        node = zarr.open(path, mode="r")
    except Exception as error:
        raise ValueError(f"{path} is no Zarr array or group: {error}.") from error
    named: str | None = None
    sizes: tuple[float, ...] | None = None
    unit: Unit = "arbitrary"
    if isinstance(node, zarr.Group):
        node, named, sizes, unit = _of_ome_zarr(node, path)
    axes = axes or named
    if axes is None:
        raise ValueError(
            f"{path} does not say what its {node.ndim} dimensions {node.shape} are: pass axes with a letter of "
            f"{AXES!r} for each, for example axes={AXES[-node.ndim :]!r}."
        )
    check_axes(axes, node.shape)
    if node.dtype.kind not in "buif":
        raise TypeError(f"{path} has dtype {node.dtype}, but must be integer or floating point.")
    return node, axes, sizes, unit


def _of_ome_zarr(group: Any, path: Path) -> tuple[Any, str, tuple[float, ...] | None, Unit]:
    """Return the full-size array of the first image of an OME-Zarr group, with its axes, voxel size and unit."""
    attributes = group.attrs.asdict()
    multiscales = attributes.get("ome", attributes).get("multiscales")
    if not multiscales:
        raise ValueError(f"{path} is a Zarr group without an image in OME-Zarr: pass one of its arrays, {path}/NAME.")
    axes = multiscales[0]["axes"]
    first = multiscales[0]["datasets"][0]
    (scale,) = (step["scale"] for step in first["coordinateTransformations"] if step["type"] == "scale")
    spatial = [(axis, size) for axis, size in zip(axes, scale, strict=True) if axis["type"] == "space"]
    is_known = all(axis.get("unit") == "micrometer" for axis, _ in spatial)
    sizes = tuple(float(size) for _, size in spatial) if is_known else None
    unit = attributes.get("course_lib", {}).get("unit", "arbitrary")
    return group[first["path"]], "".join(axis["name"].upper() for axis in axes), sizes, unit
