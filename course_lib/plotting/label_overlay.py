"""Outlines of labels on their image: what was found, what was invented, and what was missed."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from course_lib.metrics import match_labels
from course_lib.plotting._figure import to_finite_numpy
from course_lib.plotting.images import Images, show_images
from course_lib.plotting.style import STYLE

__all__ = ["OUTLINES", "label_overlay", "number_objects"]

OUTLINES: Mapping[str, tuple[str, tuple[float, Sequence[float]]]] = {
    "found": ("#ffffff", (0, ())),
    "invented": ("#f0a030", (0, (3, 1.5))),
    "missed": ("#c8502a", (0, (1, 1))),
}
"""Colour and line of each kind of outline. They differ in lightness, and each has a dark rim, for bright ground."""
LINE_WIDTH, RIM_WIDTH = 1.0, 2.0


def _label_array(labels: np.ndarray | torch.Tensor, *, name: str) -> np.ndarray:
    array = to_finite_numpy(labels, name=name)
    if array.dtype.kind not in "iu" or array.ndim != 2:
        raise ValueError(
            f"{name} has dtype {array.dtype} and shape {array.shape}, but must be whole numbers (Y, X): "
            f"choose one plane, and number a mask by segmentation.connected."
        )
    return array


def _outlines(labels: np.ndarray) -> list[np.ndarray]:
    """Return the closed outlines of all objects as points (x, y), each halfway between its pixels and the others."""
    from scipy import ndimage
    from skimage.measure import find_contours

    lines = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        inside = np.pad(labels[box] == number, 1).astype(np.float64)
        corner = np.array([side.start - 1 for side in box])
        contours = find_contours(inside, 0.5)  # type: ignore[no-untyped-call]
        lines += [(line + corner)[:, ::-1] for line in contours]
    return lines


def _draw(axes: Axes, labels: np.ndarray, kind: str) -> None:
    color, style = OUTLINES[kind]
    axes.add_collection(
        LineCollection(
            _outlines(labels),
            colors=color,
            linestyles=[style],
            linewidths=LINE_WIDTH,
            path_effects=[withStroke(linewidth=RIM_WIDTH, foreground="black")],
        ),
        autolim=False,
    )


def _by_outcome(labels: np.ndarray, truth: np.ndarray, iou_threshold: float) -> dict[str, np.ndarray]:
    """Return the labels that are right, those that are not, and the true objects that nothing matches."""
    pairs = match_labels(labels, truth, iou_threshold=iou_threshold).pairs
    found = np.isin(labels, pairs[:, 0])
    return {
        "found": np.where(found, labels, 0),
        "invented": np.where(found, 0, labels),
        "missed": np.where(np.isin(truth, pairs[:, 1]), 0, truth),
    }


def _add_legend(figure: Figure) -> None:
    rim = [withStroke(linewidth=RIM_WIDTH, foreground="black")]
    handles = [
        Line2D([], [], color=color, linestyle=style, marker="", linewidth=LINE_WIDTH, path_effects=rim, label=kind)
        for kind, (color, style) in OUTLINES.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


@matplotlib.rc_context(STYLE)
def label_overlay(
    images: Images,
    labels: Sequence[np.ndarray | torch.Tensor],
    *,
    truth: np.ndarray | torch.Tensor | None = None,
    iou_threshold: float = 0.5,
    titles: Sequence[str] = (),
    pixel_size_um: float | tuple[float, float] | None = None,
    scale_bar_um: float | None = None,
    unit: str = "arbitrary units",
    value_range: tuple[float, float] | None = None,
    columns: int | None = None,
) -> Figure:
    """Draw the outlines of objects on their images, side by side.

    Without the truth all outlines are white. With it, what was *found* is; labels that match no true object are
    *invented* and drawn in orange, dashed, and true objects that no label matches are *missed*, in rust, dotted. Where
    an outline is merely too poor, both appear together.

    Parameters
    ----------
    images : tensor or array of shape (Y, X), or sequence of such
        What lies below: one image for all panels, or one for each.
    labels : sequence of tensor or array of int, each of shape (Y, X)
        The labels of each panel, 0 for background.
    truth : tensor or array of int, shape (Y, X), optional
        The true labels, the same for all panels.
    iou_threshold : float
        Intersection over union from which on an object counts as found.
    titles : sequence of str
        One for each panel, or none at all.
    pixel_size_um, scale_bar_um, unit, value_range, columns
        See `show_images`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no panel, labels are not whole numbers, or shapes do not fit together.

    Examples
    --------
    >>> truth = np.zeros((20, 30), int)
    >>> truth[2:9, 2:12], truth[11:18, 15:28] = 1, 2
    >>> found = np.where(truth == 2, 0, truth)
    >>> figure = label_overlay(truth > 0, [found, truth], truth=truth, titles=["one missed", "perfect"])
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['found', 'invented', 'missed']
    """
    panels = [_label_array(one, name=f"labels {index}") for index, one in enumerate(labels)]
    if not panels:
        raise ValueError("labels is empty, but must hold at least one label image: pass a list of them.")
    below = [images] * len(panels) if not isinstance(images, Sequence) and images.ndim == 2 else list(images)
    if len(below) != len(panels):
        raise ValueError(f"there are {len(below)} images for {len(panels)} label images: pass one for each, or one.")
    true_labels = None if truth is None else _label_array(truth, name="truth")
    for index, (image, one) in enumerate(zip(below, panels, strict=True)):
        for name, other in ((f"image {index}", image), ("truth", true_labels)):
            if other is not None and tuple(other.shape) != one.shape:
                raise ValueError(
                    f"labels {index} have shape {one.shape}, but {name} has {tuple(other.shape)}: "
                    f"take all from the same field and crop."
                )
    figure = show_images(
        below,
        titles=titles,
        pixel_size_um=pixel_size_um,
        scale_bar_um=scale_bar_um,
        unit=unit,
        value_range=value_range,
        columns=columns,
    )
    for axes, one in zip(figure.axes, panels, strict=False):
        drawn = {"found": one} if true_labels is None else _by_outcome(one, true_labels, iou_threshold)
        for kind, outlined in drawn.items():
            _draw(axes, outlined, kind)
    if true_labels is not None:
        _add_legend(figure)
    return figure


def number_objects(figure: Figure, labels: np.ndarray | torch.Tensor) -> None:
    """Write the number of each object at its centre, into the first panel of a figure of `label_overlay`.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What `label_overlay` or `show_images` drew.
    labels : tensor or array of int, shape (Y, X)
        The labels, 0 for background.

    Raises
    ------
    ValueError
        If the labels are not whole numbers, or have another shape.

    Examples
    --------
    >>> labels = np.zeros((20, 30), int)
    >>> labels[2:9, 2:12], labels[11:18, 15:28] = 4, 7
    >>> figure = label_overlay(labels > 0, [labels])
    >>> number_objects(figure, labels)
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['4', '7']
    """
    from scipy import ndimage

    array = _label_array(labels, name="labels")
    numbers = np.unique(array[array > 0])
    rim = [withStroke(linewidth=RIM_WIDTH, foreground="black")]
    for number, (y, x) in zip(numbers, ndimage.center_of_mass(array > 0, array, numbers), strict=True):
        figure.axes[0].text(x, y, str(number), color="white", size=7, ha="center", va="center", path_effects=rim)
