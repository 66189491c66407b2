"""Use networks of StarDist and Cellpose, where these are installed, beside those of the course.

Both have networks trained on many thousands of cells, which a course of this size cannot match. They are loaded with
their own packages, which download the weights at first use::

    from stardist.models import StarDist2D
    labels = segmentation.by_stardist(StarDist2D.from_pretrained("2D_versatile_fluo"), image)

    from cellpose.models import CellposeModel
    labels = segmentation.by_cellpose(CellposeModel(gpu=False), image, diameter_px=30)

The course needs neither package; the answers come in its own form, so that they can be filtered, scored and measured
like all labels.
"""

from typing import Any, Protocol

import torch

from course_lib.segmentation._check import Array, Labels, check_image, check_labels
from course_lib.segmentation.labels import relabelled
from course_lib.segmentation.training import normalized

__all__ = ["by_cellpose", "by_stardist"]


class StarDistModel(Protocol):
    """What is used of ``stardist.models.StarDist2D`` and ``StarDist3D``."""

    def predict_instances(self, img: Array, /) -> tuple[Array, dict[str, Any]]:
        """Return labels, and what they were drawn from."""


class CellposeModel(Protocol):
    """What is used of ``cellpose.models.CellposeModel``, versions 3 and 4."""

    def eval(self, x: Array, /, *, diameter: float | None, do_3D: bool, z_axis: int | None) -> tuple[Any, ...]:
        """Return labels first."""


def by_stardist(model: StarDistModel, image: torch.Tensor | Array) -> Labels:
    """Segment an image with a network of StarDist.

    Parameters
    ----------
    model : StarDist2D or StarDist3D
        Loaded by the package stardist.
    image : torch.Tensor or numpy.ndarray
        ([z,] y, x), in any unit; it is normalized as StarDist's own examples do it.

    Returns
    -------
    numpy.ndarray
        int32 labels, from 1 on.
    """
    seen = normalized(image).numpy()
    found, _ = model.predict_instances(seen)
    return relabelled(check_labels(found))


def by_cellpose(model: CellposeModel, image: torch.Tensor | Array, *, diameter_px: float | None = None) -> Labels:
    """Segment an image with a network of Cellpose.

    Parameters
    ----------
    model : CellposeModel
        Loaded by the package cellpose, which normalizes the image itself.
    image : torch.Tensor or numpy.ndarray
        ([z,] y, x), in any unit.
    diameter_px : float, optional
        Of the cells; the network's own by default.

    Returns
    -------
    numpy.ndarray
        int32 labels, from 1 on.
    """
    values = check_image(image)
    is_stack = values.ndim == 3
    found = model.eval(values, diameter=diameter_px, do_3D=is_stack, z_axis=0 if is_stack else None)[0]
    return relabelled(check_labels(found))
