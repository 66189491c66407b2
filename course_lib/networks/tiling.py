"""Predict images of any size in tiles that fit into memory, and leave no seam.

An output pixel depends on no pixel farther away than the network's `halo`. So each tile is computed with a margin of
that width, which is thrown away, and nothing of the image's borders, or of the tile's, is seen in what is kept. Tiles
begin on the network's coarsest grid, because halving the grid starts with a pair: moved by one pixel, the pairs are
others and the output differs. Images whose sides are no multiple of that grid are continued by their mirror image.

What is computed is then the same as without tiles, but for the last digits of the sums: about 1e-6 of the contrast on a
CPU, and 1e-3 on a GPU, whose convolutions round to 10 bits (TF32).
"""

import itertools
import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from course_lib import devices
from course_lib.networks.augmentation import VIEWS, view, view_back
from course_lib.networks.unet import UNet, UNetConfig

__all__ = ["Box", "Reader", "Writer", "default_tile", "predict_tiles"]

Reader = Callable[[int, tuple[slice, ...]], torch.Tensor]
Writer = Callable[[int, tuple[slice, ...], torch.Tensor], None]
Box = tuple[tuple[int, ...], tuple[int, ...]]

MOST_PIXELS = {2: 320_000, 3: 3_700_000}
"""Of a tile with its margin, unless another size is asked for."""
LEAST_KEPT = 32
"""No default tile keeps less of a longer side: the margin would be most of it."""


def predict_tiles(
    network: UNet,
    read: Reader,
    write: Writer,
    *,
    sides: tuple[int, ...],
    frames: int = 1,
    box: Box | None = None,
    tile: tuple[int, ...] | None = None,
    batch_size: int = 1,
    views: int = 1,
    precision: torch.dtype = torch.float32,
    progress: bool = False,
) -> None:
    """Run `network` over images of one shape, tile by tile, on the network's device.

    Parameters
    ----------
    network : UNet
        In evaluation mode, or it is put into it.
    read : callable
        Takes the number of the frame and a slice for each spatial axis, and gives the normalized part of the image,
        (C, [Z,] Y, X).
    write : callable
        Takes the number of the frame, a slice for each spatial axis, and the prediction there.
    sides : tuple of int
        Of each image, along the spatial axes.
    frames : int
        Images; a batch may have tiles of several.
    box : tuple of tuple of int, optional
        First and end of the part that is wanted, along each spatial axis; by default the whole image.
    tile : tuple of int, optional
        Sides of what is kept of a tile, rounded up to the network's `steps`; by default as `default_tile` chooses.
        Where the memory runs out, tiles are halved, with a warning.
    batch_size : int
        Tiles of one run of the network.
    views : {1, 8}
        8 averages over the quarter turns and mirror images of each tile.
    precision : torch.dtype
        float32, or bfloat16 where the processor has it.
    progress : bool
        Show a bar.
    """
    if len(sides) != network.config.dimensions:
        raise ValueError(f"the image has {len(sides)} spatial axes, but the network {network.config.dimensions}.")
    if views not in (1, VIEWS):
        raise ValueError(f"views is {views}, but must be 1 or {VIEWS}.")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, but must be at least 1.")
    network.eval()
    steps, device = network.config.steps, next(network.parameters()).device
    padded = _rounded_up(sides, steps)
    wanted = box or ((0,) * len(sides), sides)
    outer = _rounded_out(wanted, steps)
    asked = _best_tile(outer, padded, network.config) if tile is None else tuple(tile)
    if len(asked) != len(sides) or min(asked) < 1:
        raise ValueError(f"tile is {asked}, but must be {len(sides)} sides of at least 1 pixel.")
    largest = tuple(map(min, _rounded_up(asked, steps), padded))
    pending = [(frame, piece) for frame in range(frames) for piece in _cut(outer, largest)]
    voxels = frames * math.prod(stop - start for start, stop in zip(*wanted, strict=True))
    with tqdm(total=voxels, unit="px", unit_scale=True, disable=None if progress else True) as bar:
        while pending:
            window = _window(largest, padded, network.config)
            batch = pending[:batch_size]
            corners = [_corner(start, window, padded, network.config.halo) for _, (start, _) in batch]
            try:
                windows = torch.stack(
                    [
                        _read(read, frame, corner, window, sides)
                        for (frame, _), corner in zip(batch, corners, strict=True)
                    ]
                )
                predicted = _run(network, windows.to(device), views=views, precision=precision).cpu()
            except (RuntimeError, MemoryError) as error:
                if not devices.is_out_of_memory(error):
                    raise
                if device.type == "cuda":
                    torch.cuda.empty_cache()
                if len(batch) > 1:
                    batch_size = len(batch) // 2
                    continue
                largest = _smaller(largest, steps, device, error)
                pending = [(frame, piece) for frame, whole in pending for piece in _cut(whole, largest)]
                continue
            for (frame, (start, stop)), corner, output in zip(batch, corners, predicted, strict=True):
                kept = tuple(
                    slice(max(a, low), min(b, high)) for a, b, low, high in zip(start, stop, *wanted, strict=True)
                )
                inner = tuple(slice(k.start - c, k.stop - c) for k, c in zip(kept, corner, strict=True))
                write(frame, kept, output[(slice(None), *inner)])
                bar.update(math.prod(k.stop - k.start for k in kept))
            del pending[: len(batch)]


def default_tile(config: UNetConfig, sides: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sides of tiles for an image: those that compute the fewest pixels twice.

    A tile with its margin has a limited number of pixels. Within that, tiles as large as can be waste least; but
    where a large one does not fill the image's side, several smaller ones of one size waste less.

    Parameters
    ----------
    config : UNetConfig
        Of the network, which tells how wide the margin is.
    sides : tuple of int
        Of the image, along the spatial axes.

    Examples
    --------
    >>> config = UNetConfig(dimensions=3, depth=2)
    >>> config.halo
    (24, 24, 24)
    >>> default_tile(config, (40, 512, 512))
    (40, 512, 128)
    """
    padded = _rounded_up(sides, config.steps)
    return _best_tile(((0,) * len(sides), padded), padded, config)


def _best_tile(box: Box, padded: tuple[int, ...], config: UNetConfig) -> tuple[int, ...]:
    """Return the sides of tiles, whole steps, that cover a box with the fewest pixels computed."""
    most = MOST_PIXELS[config.dimensions]
    *others, last = (
        _even_parts(stop - start, step, halo, extent)
        for start, stop, step, halo, extent in zip(*box, config.steps, config.halo, padded, strict=True)
    )
    choices = []
    for parts in itertools.product(*others):
        area = math.prod(part.window for part in parts)
        choices.append((*parts, next((part for part in last if area * part.window <= most), last[-1])))

    def cost(parts: tuple[_Part, ...]) -> tuple[int, int]:
        too_many = max(0, math.prod(part.window for part in parts) - most)
        return too_many, math.prod(part.number * part.window for part in parts)

    return tuple(part.kept for part in min(choices, key=cost))


class _Part(NamedTuple):
    """How a side is cut: what is kept of each tile, how many there are, and the pixels of one with its margin."""

    kept: int
    number: int
    window: int


def _even_parts(side: int, step: int, halo: int, extent: int) -> list[_Part]:
    """Return ways to cut a side into equal parts, from one part to many."""
    parts = {}
    for wished in range(1, max(1, side // LEAST_KEPT) + 1):
        kept = math.ceil(side / wished / step) * step
        parts[kept] = _Part(kept, math.ceil(side / kept), min(kept + 2 * halo, extent))
    return list(parts.values())


def _window(largest: tuple[int, ...], padded: tuple[int, ...], config: UNetConfig) -> tuple[int, ...]:
    """Return the sides of a tile with its margin."""
    return tuple(min(most + 2 * halo, side) for most, halo, side in zip(largest, config.halo, padded, strict=True))


def _cut(box: Box, largest: tuple[int, ...]) -> list[Box]:
    """Cut a box into pieces no longer than `largest`."""
    edges = [
        list(itertools.pairwise([*range(start, stop, most), stop]))
        for start, stop, most in zip(*box, largest, strict=True)
    ]
    return [(tuple(a for a, _ in piece), tuple(b for _, b in piece)) for piece in itertools.product(*edges)]


def _corner(
    start: tuple[int, ...], window: tuple[int, ...], padded: tuple[int, ...], halo: tuple[int, ...]
) -> tuple[int, ...]:
    """Return where the window of a tile begins: a margin before it, but such that the window ends in the image."""
    places = zip(start, window, padded, halo, strict=True)
    return tuple(min(max(first - margin, 0), side - extent) for first, extent, side, margin in places)


def _read(
    read: Reader, frame: int, corner: tuple[int, ...], window: tuple[int, ...], sides: tuple[int, ...]
) -> torch.Tensor:
    """Read a window; what is beyond the end of the image is its mirror image."""
    stops = tuple(min(first + extent, side) for first, extent, side in zip(corner, window, sides, strict=True))
    values = read(frame, tuple(map(slice, corner, stops)))
    missing = [(0, first + extent - stop) for first, extent, stop in zip(corner, window, stops, strict=True)]
    if not any(after for _, after in missing):
        return values
    return torch.from_numpy(np.pad(values.cpu().numpy(), [(0, 0), *missing], mode="symmetric"))


@torch.inference_mode()
def _run(network: UNet, windows: torch.Tensor, *, views: int, precision: torch.dtype) -> torch.Tensor:
    """Return the prediction for a batch of windows, in float32, averaged over the views."""
    layout = torch.channels_last if windows.ndim == 4 else torch.channels_last_3d
    with torch.autocast(windows.device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        total = torch.zeros((), device=windows.device)
        for number in range(views):
            turned = view(windows, number).contiguous(memory_format=layout)
            total = total + view_back(network(turned).float(), number)
    return total / views


def _rounded_out(box: Box, steps: tuple[int, ...]) -> Box:
    start = tuple(first // step * step for first, step in zip(box[0], steps, strict=True))
    return start, _rounded_up(box[1], steps)


def _rounded_up(sides: tuple[int, ...], steps: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.ceil(side / step) * step for side, step in zip(sides, steps, strict=True))


def _smaller(
    largest: tuple[int, ...], steps: tuple[int, ...], device: torch.device, error: BaseException
) -> tuple[int, ...]:
    """Return the tile with its longest axis halved, and say so."""
    halved = list(largest)
    axis = max(range(len(largest)), key=lambda k: largest[k] / steps[k])
    halved[axis] = math.ceil(largest[axis] / 2 / steps[axis]) * steps[axis]
    if tuple(halved) == largest:
        raise MemoryError(
            f"{devices.describe(device)} has not enough memory even for the smallest tile, {largest} pixels and its "
            f"margin: close other programs, or predict on another device."
        ) from error
    warnings.warn(
        f"a tile of {largest} pixels needs more memory than {devices.describe(device)} has: it goes on with "
        f"{tuple(halved)}.",
        stacklevel=3,
    )
    return tuple(halved)
