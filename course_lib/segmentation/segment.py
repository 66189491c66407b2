r"""Segment an image of any size with a trained network.

The maps of a network have no seams, whatever tiles they are computed in (`course_lib.networks.predict_tiles`). Labels
are another matter: an object that a cut divides would get two numbers, one in each part. So a large image is cut into
blocks with a margin wider than the largest object. Each object belongs to the block in which its centre of mass
lies: that block sees the whole of it, and draws it; all others, which see it too, leave it out. So the labels of blocks
are those of the whole image, numbered in the order in which they appear.
"""

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from tqdm import tqdm

from course_lib import devices
from course_lib.networks import Model
from course_lib.segmentation._check import Array, Labels, check_image
from course_lib.segmentation.training import REPRESENTATIONS, large_enough, maps_of, normalized

__all__ = ["object_maps", "segment", "thresholds_of"]

MARGIN = 1.5
"""Width of a block's margin over the largest object of the training."""
MOST_NUMBERS = 2**26
"""Numbers in the maps of a block, 256 MiB."""

Box = tuple[slice, ...]


def object_maps(
    model: Model, image: torch.Tensor | Array, *, device: str | torch.device = "auto", progress: bool = False
) -> torch.Tensor:
    """Return what the network gives for each pixel, from which the objects follow.

    Parameters
    ----------
    model : Model
        What `train` gave.
    image : torch.Tensor or numpy.ndarray
        ([z,] y, x), in any unit.
    device, progress
        See `Model.predict`.

    Returns
    -------
    torch.Tensor
        (maps, [z,] y, x); of flows, the first is the log-odds of the foreground.
    """
    return maps_of(model, normalized(_checked(model, image)), device=devices.resolve(device), progress=progress)


def segment(
    model: Model,
    image: torch.Tensor | Array,
    *,
    thresholds: Mapping[str, float] | None = None,
    block: Sequence[int] | None = None,
    device: str | torch.device = "auto",
    progress: bool = False,
) -> Labels:
    """Return the objects of an image, however large.

    Parameters
    ----------
    model : Model
        What `train` gave.
    image : torch.Tensor or numpy.ndarray
        ([z,] y, x), in any unit.
    thresholds : mapping of str to float, optional
        In place of those that the training chose, for example ``{"least_foreground": 0.4}``.
    block : sequence of int, optional
        Sides ([z,] y, x) of the blocks, without their margin; by default as large as 256 MiB of maps allow.
    device : str or torch.device
        Where to compute the maps.
    progress : bool
        Show a bar.

    Returns
    -------
    numpy.ndarray
        int32 labels of the image's shape, from 1 on in the order in which objects appear.

    Raises
    ------
    ValueError, TypeError
        If the model is none for segmentation, a threshold is unknown to it or out of range, or the image has other
        axes than the training's, or is constant.

    Warns
    -----
    UserWarning
        If an object is so much larger than those of the training that a block cuts it.

    Examples
    --------
    >>> from course_lib import networks, samples, segmentation
    >>> density, labels = samples.nuclei((64, 128), voxel_size_um=(0.5, 0.5), count=12, rng=0)
    >>> model = segmentation.train(
    ...     [density],
    ...     [labels],
    ...     segmentation.Config(patch_side=32, base_channels=4, depth=1),
    ...     networks.TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2),
    ...     rng=0,
    ...     device="cpu",
    ...     progress=False,
    ... )
    >>> segment(model, density, device="cpu").shape
    (64, 128)
    """
    seen = normalized(_checked(model, image))
    representation = REPRESENTATIONS[model.settings["segmentation"]["represents"]]()
    used = thresholds_of(model, thresholds or {})
    sides = tuple(seen.shape)
    least_px = model.settings["smallest_object_px"]
    margin = tuple(math.ceil(MARGIN * side) for side in model.settings["largest_object_px"])
    cores = list(_blocks(sides, _block_sides(sides, margin, model) if block is None else tuple(block)))
    where = devices.resolve(device)
    labels = np.zeros(sides, dtype=np.int32)
    count, cut = 0, False
    for core in tqdm(cores, desc="segmenting", unit="block", disable=None if progress else True):
        around = _grown(core, margin, sides)
        maps = maps_of(model, seen, box=around, device=where)
        found = large_enough(representation.objects(maps, **used), least_px)
        own, incomplete = _own(found, core, around, sides)
        cut = cut or incomplete
        place = labels[around]
        place[own > 0] = own[own > 0] + count
        count += int(own.max())
    if cut:
        warnings.warn(
            f"an object is larger than the margin of a block, {margin} pixels: it may be cut. Pass larger sides of "
            f"block, or scale the image to that of the training, whose largest object had "
            f"{tuple(model.settings['largest_object_px'])} pixels.",
            stacklevel=2,
        )
    return _in_order(labels)


def thresholds_of(model: Model, given: Mapping[str, float]) -> dict[str, float]:
    """Return the thresholds that the training chose, replaced by what is given.

    Parameters
    ----------
    model : Model
        What `train` gave.
    given : mapping of str to float
        Some of its thresholds; those in pixels are at least 0, the others from 0 to 1.

    Returns
    -------
    dict of float
        All of the model's thresholds.

    Raises
    ------
    ValueError
        If the model has no threshold of that name, or its value is out of range.
    """
    known: Mapping[str, float] = model.settings["thresholds"]
    if not set(given) <= set(known):
        raise ValueError(f"thresholds are {dict(given)}, but this model has {', '.join(known)}: name only these.")
    for name, value in given.items():
        most = math.inf if name.endswith("_px") else 1
        if not (0 <= value <= most and math.isfinite(value)):
            limits = "a finite number of pixels, at least 0" if name.endswith("_px") else "from 0 to 1"
            raise ValueError(
                f"threshold {name} is {value:g}, but must be {limits}; the training chose {known[name]:g}."
            )
    return {**known, **given}


def _in_order(labels: Labels) -> Labels:
    """Return the labels with objects counted from 1 on, in the order in which they appear."""
    values, first = np.unique(labels, return_index=True)
    numbers = np.zeros(int(values[-1]) + 1, dtype=np.int32)
    present = values > 0
    numbers[values[present][np.argsort(first[present])]] = np.arange(1, present.sum() + 1)
    return numbers[labels]


def _checked(model: Model, image: torch.Tensor | Array) -> Array:
    if model.method != "segmentation":
        raise ValueError(
            f"this model is of the method {model.method}, which gives no objects: load one that course train-segment "
            f"or segmentation.train wrote."
        )
    values = check_image(image)
    dimensions = model.network.config.dimensions
    if values.ndim != dimensions:
        raise ValueError(
            f"image has shape {values.shape}, but this model takes {'(z, y, x)' if dimensions == 3 else '(y, x)'}: "
            f"{'give a stack' if dimensions == 3 else 'segment plane by plane, or use a 3D model'}."
        )
    if dimensions == 3 and values.shape[0] == 1:
        raise ValueError("image has 1 plane, but this model learned from stacks: give a stack, or use a 2D model.")
    return values


def _block_sides(sides: tuple[int, ...], margin: tuple[int, ...], model: Model) -> tuple[int, ...]:
    """Return the sides of blocks: halved, the longest first, until the maps of one fit."""
    maps = model.network.config.out_channels
    block = list(sides)

    def numbers() -> int:
        around = (min(side, one + 2 * wide) for side, one, wide in zip(sides, block, _sum(margin, model), strict=True))
        return maps * math.prod(around)

    while numbers() > MOST_NUMBERS and max(block) > max(margin):
        longest = max(range(len(block)), key=block.__getitem__)
        block[longest] = math.ceil(block[longest] / 2)
    return tuple(block)


def _sum(margin: tuple[int, ...], model: Model) -> tuple[int, ...]:
    """Return the margin with the network's own: what a block must see to know all of its objects."""
    steps = model.network.config.steps
    whole = (wide + halo for wide, halo in zip(margin, model.network.config.halo, strict=True))
    return tuple(math.ceil(wide / step) * step for wide, step in zip(whole, steps, strict=True))


def _blocks(sides: tuple[int, ...], block: tuple[int, ...]) -> Iterator[Box]:
    if len(block) != len(sides) or min(block) < 1:
        raise ValueError(f"block is {block}, but must have {len(sides)} sides of at least 1 pixel.")
    starts = (range(0, side, most) for side, most in zip(sides, block, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(slice(low, min(low + most, side)) for low, most, side in zip(corner, block, sides, strict=True))


def _grown(core: Box, margin: tuple[int, ...], sides: tuple[int, ...]) -> Box:
    places = zip(core, margin, sides, strict=True)
    return tuple(slice(max(0, one.start - wide), min(side, one.stop + wide)) for one, wide, side in places)


def _own(found: Labels, core: Box, around: Box, sides: tuple[int, ...]) -> tuple[Labels, bool]:
    """Return the objects whose centre of mass lies in the core, numbered from 1; and whether one is cut."""
    from scipy import ndimage

    numbers = np.zeros(int(found.max()) + 1, dtype=np.int32)
    cut, count = False, 0
    areas = np.bincount(found.ravel(), minlength=len(numbers))
    centres = [
        np.bincount(found.ravel(), weights=np.broadcast_to(line, found.shape).ravel(), minlength=len(numbers))
        for line in np.ogrid[around]
    ]
    for number, box in enumerate(ndimage.find_objects(found), start=1):
        if box is None:
            continue
        centre = [total[number] / areas[number] for total in centres]
        if all(one.start <= place < one.stop for one, place in zip(core, centre, strict=True)):
            count += 1
            numbers[number] = count
            edges = zip(box, around, sides, strict=True)
            cut = cut or any(
                (part.start == 0 and whole.start > 0) or (part.stop == whole.stop - whole.start and whole.stop < side)
                for part, whole, side in edges
            )
    return numbers[found], cut
