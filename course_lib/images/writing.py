"""Write an image as OME-TIFF: axes, voxel size and unit travel with the pixels, and nothing is half written.

The file appears under its name only when it is complete: it is written beside its destination, flushed to
the disk, and then renamed, which the file system does in one step.
"""

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile

from course_lib import provenance
from course_lib.images.image import Image
from course_lib.images.replacing import replacing

__all__ = ["NAMESPACE", "ome_xml", "write"]

NAMESPACE = "course_lib/images"

_OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_OME_TYPES = {
    "bool": "uint8",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "float32": "float",
    "float64": "double",
}


def write(path: str | os.PathLike[str], image: Image, *, compression: Literal["none", "zlib"] = "none") -> None:
    """Write `image` as OME-TIFF, so that `read` gives back the same data, dtype, axes, voxel size and unit.

    Parameters
    ----------
    path : str or path
        A name that ends in ``.tif`` or ``.tiff``; an older file there is replaced, but only by a complete one.
    image : Image
        Values of 8, 16 or 32 bits, float32 or float64. A mask (bool) is stored as 0 and 1 and read as bool.
    compression : {"none", "zlib"}
        ``"zlib"`` is smaller and loses nothing, but cannot be read as a memory map.

    Raises
    ------
    TypeError
        If OME-TIFF has no type for the values, which are 64-bit integers or float16.
    ValueError
        If `path` does not end in ``.tif`` or ``.tiff``.
    OSError
        If the file cannot be written; an older file is left as it was.

    References
    ----------
    .. [1] I. G. Goldberg et al., "The Open Microscopy Environment (OME) data model and XML file", Genome
       Biology 6, R47 (2005), doi:10.1186/gb-2005-6-5-r47.

    Examples
    --------
    >>> import tempfile
    >>> from course_lib import images
    >>> image = images.Image(np.eye(4, dtype=np.uint16), axes="YX", voxel_size_um=(0.1, 0.1), unit="photons")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images.write(folder + "/eye.tif", image)
    ...     images.read(folder + "/eye.tif")
    Image(Y 4 × X 4, uint16, voxel 0.1 × 0.1 µm, photons)
    """
    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise ValueError(f"{path} must end in .tif or .tiff, because it will be a TIFF file: rename it.")
    values = image.data
    if values.dtype.name not in _OME_TYPES:
        remedy = "np.float32" if values.dtype.kind == "f" else "np.int32, if all values fit"
        raise TypeError(
            f"the image has dtype {values.dtype}, but OME-TIFF stores {', '.join(_OME_TYPES)}: "
            f"convert its data with .astype({remedy})."
        )
    with replacing(path) as file:
        tifffile.imwrite(
            file,
            values.view(np.uint8) if values.dtype == bool else values,
            photometric="minisblack",
            compression=None if compression == "none" else compression,
            description=ome_xml(image),
            metadata=None,
        )


def ome_xml(image: Image) -> bytes:
    """Return what `write` tells of an image: axes, voxel size, unit, dtype, and the command at work, if there is one.

    Its values are not looked at.
    """
    sizes = dict(zip(image.axes, image.data.shape, strict=True))
    root = ElementTree.Element("OME", {"xmlns": _OME, "Creator": "course_lib"})
    element = ElementTree.SubElement(root, "Image", {"ID": "Image:0"})
    pixels = ElementTree.SubElement(
        element,
        "Pixels",
        {"ID": "Pixels:0", "DimensionOrder": "XYZCT", "Type": _OME_TYPES[image.data.dtype.name]}
        | {f"Size{letter}": str(sizes.get(letter, 1)) for letter in "XYZCT"},
    )
    spatial = [letter for letter in image.axes if letter in "ZYX"]
    for letter, size_um in zip(spatial, image.voxel_size_um or (), strict=bool(image.voxel_size_um)):
        pixels.set(f"PhysicalSize{letter}", repr(size_um))
        pixels.set(f"PhysicalSize{letter}Unit", "µm")
    for channel in range(sizes.get("C", 1)):
        ElementTree.SubElement(pixels, "Channel", {"ID": f"Channel:0:{channel}", "SamplesPerPixel": "1"})
    ElementTree.SubElement(pixels, "TiffData")
    ElementTree.SubElement(element, "AnnotationRef", {"ID": "Annotation:0"})
    annotations = ElementTree.SubElement(root, "StructuredAnnotations")
    annotation = ElementTree.SubElement(annotations, "MapAnnotation", {"ID": "Annotation:0", "Namespace": NAMESPACE})
    value = ElementTree.SubElement(annotation, "Value")
    notes = {"axes": image.axes, "unit": image.unit, "dtype": image.data.dtype.name}
    for key, text in (notes | provenance.record()).items():
        ElementTree.SubElement(value, "M", {"K": key}).text = text
    xml: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return xml
