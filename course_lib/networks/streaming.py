"""Predict volumes that are larger than memory, from disk to disk.

Large tiles are read, computed by `predict_tiles` and written one after the other; an interrupted run goes on.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from course_lib import devices, images
from course_lib.images.journal import fingerprint
from course_lib.images.on_disk import ImageOnDisk
from course_lib.images.tiled_run import TiledRun, check_target
from course_lib.images.tiles import Tile, largest_tile
from course_lib.networks.model import Model
from course_lib.networks.tiling import predict_tiles
from course_lib.networks.training import precision_for

__all__ = ["StreamedPrediction", "predict_on_disk"]

BYTES_PER_VOXEL = 8
"""The answer for a tile, and its copy on the way to the disk; what the network sees is read piece by piece."""
SAMPLED_PLANES = 16


@dataclass(frozen=True, kw_only=True)
class StreamedPrediction:
    """What a run did.

    Attributes
    ----------
    path : Path
        The result: float32, in the unit of the model's output.
    tiles : int
        Computed now.
    resumed : bool
        Whether an interrupted run went on.
    """

    path: Path
    tiles: int
    resumed: bool


def predict_on_disk(
    model: Model,
    image: ImageOnDisk,
    target: str | os.PathLike[str],
    *,
    normalization: Literal["training", "image"] = "training",
    views: Literal[1, 8] = 1,
    memory_gib: float = 1.0,
    device: str | torch.device = "auto",
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
    overwrite: bool = False,
    progress: bool = True,
) -> StreamedPrediction:
    """Predict an image on disk, which need not fit into memory.

    Parameters
    ----------
    model : Model
        As many channels must go in as come out.
    image : ImageOnDisk
        What `course_lib.images.open_image` gives; a model of one channel takes times and channels one by one.
    target : str or path
        ``.tif`` or ``.zarr``; it has this name only when it is complete.
    normalization, views, device, precision
        See `Model.predict`. Percentiles of the image are those of a sample of planes.
    memory_gib : float
        For the pixels of a large tile; the network itself takes more, for smaller tiles.
    overwrite : bool
        Replace an older result, and discard an interrupted run with other settings.
    progress : bool
        Show a bar.

    Raises
    ------
    ValueError
        If the axes do not fit the model, or the target exists.
    OSError
        If the disk is full; finished tiles are kept.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from course_lib.networks import UNet, UNetConfig
    >>> plain = images.Normalization(offset=0.0, scale=1.0)
    >>> network = UNet(UNetConfig(base_channels=4, depth=1), rng=0)
    >>> model = Model(network=network, method="example", input_normalization=(plain,), output_normalization=(plain,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images.write(folder + "/noisy.tif", images.Image(np.eye(40, dtype=np.float32), axes="YX"))
    ...     with images.open_image(folder + "/noisy.tif") as noisy:
    ...         done = predict_on_disk(model, noisy, folder + "/clean.tif", device="cpu", progress=False)
    ...     images.read(done.path)
    Image(Y 40 × X 40, float32, voxel size unknown, arbitrary)
    """
    target, config, where = Path(target), model.network.config, devices.resolve(device)
    check_target(target, overwrite=overwrite, source=image.path)
    spatial = config.dimensions
    _check(model, image)
    channels = config.in_channels if config.in_channels > 1 else 0
    leading = (channels,) if channels else ()
    halo = (*(0 for _ in leading), *config.halo)
    sides = largest_tile(
        image.shape[-spatial - len(leading) :],
        (0,) * len(halo),
        bytes_per_voxel=BYTES_PER_VOXEL,
        memory_bytes=memory_gib * 2**30,
    )
    sides = (*leading, *sides[len(leading) :])
    fitted = model.fitted_to(_sample(image, has_channels=bool(channels)), normalization)
    run = TiledRun(
        target=target,
        like=images.blank(image.shape, axes=image.axes, voxel_size_um=image.voxel_size_um, unit=image.unit),
        sides=sides,
        halo=halo,
        settings={
            "file": str(image.path.resolve()),
            "last change": image.path.stat().st_mtime_ns,
            "shape": list(image.shape),
            "channel": image.channel,
            "model": fingerprint(torch.cat([one.detach().cpu().flatten() for one in model.network.parameters()])),
            "normalization": normalization,
            "views": views,
            "precision": precision,
        },
        overwrite=overwrite,
    )

    def compute(tile: Tile, _tick: object) -> torch.Tensor:
        box = tile.start[len(leading) :], tile.stop[len(leading) :]
        answer = torch.empty((config.out_channels, *(stop - start for start, stop in zip(*box, strict=True))))

        def read(_: int, place: tuple[slice, ...]) -> torch.Tensor:
            values = image.read((*tile.frame, *(slice(None) for _ in leading), *place))
            return fitted.normalized(values if channels else values.unsqueeze(0))

        def write(_: int, place: tuple[slice, ...], values: torch.Tensor) -> None:
            inner = tuple(slice(one.start - low, one.stop - low) for one, low in zip(place, box[0], strict=True))
            answer[(slice(None), *inner)] = fitted.in_unit(values)

        predict_tiles(
            fitted.network.to(where),
            read,
            write,
            sides=image.shape[-spatial:],
            box=box,
            views=views,
            precision=precision_for(where, precision),
        )
        return answer if channels else answer[0]

    tiles = run.compute(compute, device=where, progress=progress, description="prediction")
    return StreamedPrediction(path=target, tiles=tiles, resumed=run.resumed)


def _check(model: Model, image: ImageOnDisk) -> None:
    config = model.network.config
    spatial = "ZYX" if config.dimensions == 3 else "YX"
    if not image.axes.endswith(spatial):
        raise ValueError(
            f"{image.path} has the axes {image.axes}, but this is a 3D model, which needs planes: use a 2D model."
        )
    if config.in_channels != config.out_channels or config.gives != "values":
        raise ValueError(
            f"{config.in_channels} channels go into this model and others come out: use Model.predict, in memory."
        )
    if config.in_channels > 1 and not image.axes.endswith("C" + spatial):
        raise ValueError(
            f"{image.path} has the axes {image.axes}, but this model takes {config.in_channels} channels just before "
            f"{spatial}: name the axes, or use another model."
        )
    if config.in_channels > 1 and image.shape[image.axes.index("C")] != config.in_channels:
        raise ValueError(
            f"{image.path} has {image.shape[image.axes.index('C')]} channels, but this model takes "
            f"{config.in_channels}."
        )
    if config.dimensions == 3 and image.shape[-3] == 1:
        raise ValueError(f"{image.path} has 1 plane, but this is a 3D model: give a stack, or use a 2D model.")


def _sample(image: ImageOnDisk, *, has_channels: bool) -> torch.Tensor:
    """Return planes from all over the image, (C, planes, Y, X)."""
    whole = "CYX" if has_channels else "YX"
    others = [side for letter, side in zip(image.axes, image.shape, strict=True) if letter not in whole]
    count = min(SAMPLED_PLANES, math.prod(others))
    planes = []
    for part in range(count):
        numbers = iter(np.unravel_index(int((part + 0.5) * math.prod(others) / count), others) if others else ())
        place = [slice(None) if letter in whole else int(next(numbers)) for letter in image.axes]
        plane = image.read(place)
        planes.append(plane if has_channels else plane.unsqueeze(0))
    return torch.stack(planes, dim=1)
