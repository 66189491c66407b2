"""What every metric of labels asks of its images."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

__all__ = ["Labels", "LabelsOrMany", "check_labels", "each_pair"]

Labels: TypeAlias = np.ndarray[Any, Any] | torch.Tensor
LabelsOrMany: TypeAlias = Labels | Sequence[Labels]

MOST = np.iinfo(np.int64).max


def check_labels(labels: Labels, *, name: str = "labels") -> np.ndarray[Any, Any]:
    """Return labels as a NumPy array of their own integer type, or raise.

    Examples
    --------
    >>> check_labels(torch.tensor([[0, 2], [2, 2]]))
    array([[0, 2],
           [2, 2]])
    >>> check_labels(np.zeros((4, 4)))
    Traceback (most recent call last):
    TypeError: labels have dtype float64, but must be whole numbers: labels.astype(np.int32) converts them.
    """
    if not isinstance(labels, np.ndarray | torch.Tensor):
        raise TypeError(f"{name} are a {type(labels).__name__}, but must be an array or a tensor of whole numbers.")
    image = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else labels
    if image.dtype == np.bool_:
        raise TypeError(
            f"{name} are a mask of True and False, but must number the objects: skimage.measure.label does."
        )
    if not np.issubdtype(image.dtype, np.integer):
        raise TypeError(
            f"{name} have dtype {image.dtype}, but must be whole numbers: {name}.astype(np.int32) converts them."
        )
    if image.ndim not in (2, 3):
        raise ValueError(
            f"{name} have shape {image.shape}, but must be an image (Y, X) or a stack (Z, Y, X): list several."
        )
    if image.size == 0:
        raise ValueError(f"{name} have shape {image.shape}, without any element: check how they were cropped.")
    if np.issubdtype(image.dtype, np.signedinteger) and image.min() < 0:
        raise ValueError(
            f"{name} have a value of {image.min()}, but must be at least 0, the background: set to 0 what is no object."
        )
    if image.dtype == np.uint64 and image.max() > MOST:
        raise ValueError(
            f"{name} have a value of {image.max()}, but must be at most {MOST}: "
            f"skimage.segmentation.relabel_sequential numbers the objects from 1."
        )
    return image


def each_pair(labels: LabelsOrMany, truth: LabelsOrMany) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Yield the checked pair of one image, or those of several: labels and truth.

    Examples
    --------
    >>> len(list(each_pair([np.ones((4, 4), int)] * 3, [np.ones((4, 4), int)] * 3)))
    3
    """
    several = isinstance(labels, list | tuple)
    if several != isinstance(truth, list | tuple):
        raise TypeError(
            f"labels are a {type(labels).__name__} and truth a {type(truth).__name__}, but both must be one image, or "
            f"both a list of images."
        )
    if not several:
        yield _checked_pair(labels, truth)  # type: ignore[arg-type]
        return
    if len(labels) != len(truth) or not len(labels):
        raise ValueError(
            f"labels are {len(labels)} images and truth {len(truth)}, but must be as many, and at least one."
        )
    for index, (one, true) in enumerate(zip(labels, truth, strict=True)):
        yield _checked_pair(one, true, at=f"[{index}]")


def _checked_pair(labels: Labels, truth: Labels, *, at: str = "") -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    label_image, true_image = check_labels(labels, name=f"labels{at}"), check_labels(truth, name=f"truth{at}")
    if label_image.shape != true_image.shape:
        raise ValueError(
            f"labels{at} have shape {label_image.shape}, but truth{at} has {true_image.shape}: both must be the same; "
            f"crop or expand one."
        )
    return label_image, true_image
