"""A volume on disk as photons: the camera turns what is read into them, and one pass surveys it."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from course_lib import images
from course_lib.noise import Camera

__all__ = ["Survey", "Volume", "open_volume"]

BLOCK = 8
"""Side in pixels of the blocks whose mean tells the background: small enough to fit between cells."""
DARK_BLOCKS, DARK_PLANES = 0.01, 0.1
"""Share of the blocks of a plane, and of the planes, that are taken for dark."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What one pass over a volume tells, before hours are spent on it.

    Attributes
    ----------
    total, largest : float
        Photons altogether, and in the brightest voxel.
    darkest : float
        Mean photons a voxel where it is dark: in the darkest 1 % of the blocks of 8 × 8 pixels of each plane, in the
        darkest tenth of the planes.
    brightest : tuple of int
        Where the brightest block is, an index for each axis.

    Notes
    -----
    The blocks that are dark by chance would make the background too small. So the pixels of a chessboard are taken
    apart: the black ones choose the blocks and planes, and the white ones, whose noise is independent, are averaged. In
    an image of nothing but background the expected value of `darkest` is the background, for any number of photons.
    Where light of the object, haze for example, reaches every block, `darkest` is too large by what is least of it.
    """

    total: float
    largest: float
    darkest: float
    brightest: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Volume(images.ImageOnDisk):
    """Pixels on disk with their axes, voxel size and the camera that turns them into photons: see `open_volume`.

    Attributes
    ----------
    camera : Camera or None
        Turns ADU into detected photons; None takes the values for photons.

    Notes
    -----
    The other attributes are those of `images.ImageOnDisk`; the channel is chosen, so that `axes` are letters of TZYX.
    """

    camera: Camera | None = None

    @property
    def read_noise_photons(self) -> float:
        """Variance of the read noise, in photons: it is added to each voxel, so that the variance is the mean."""
        return 0.0 if self.camera is None else float(self.camera.read_noise_e) ** 2

    def read(self, index: Sequence[int | slice]) -> torch.Tensor:
        """Read a part as photons, float32, at least 0; `index`: a number or slice for each axis, slices for Y, X."""
        return self._converted(index).clamp_(min=0)

    def _converted(self, index: Sequence[int | slice]) -> torch.Tensor:
        values = super().read(index)
        if self.camera is None:
            return values
        return self.camera.to_electrons(values) + self.read_noise_photons

    @cached_property
    def survey(self) -> Survey:
        """Look at each plane once; raises ValueError where values are negative, NaN or infinite."""
        total, largest, most = 0.0, 0.0, -math.inf
        dark, brightest, negative, lowest = [], (0,) * len(self.shape), 0, 0.0
        for place in np.ndindex(self.shape[:-2]):
            plane = self._converted((*place, slice(None), slice(None)))
            if not bool(torch.isfinite(plane).all()):
                raise ValueError(
                    f"{self.path} has {int((~torch.isfinite(plane)).sum())} NaN or infinite values in plane {place}: "
                    f"replace them, by the median around each for example, before the blur is undone."
                )
            negative, lowest = negative + int((plane < 0).sum()), min(lowest, float(plane.min()))
            light = float(plane.sum(dtype=torch.float64))
            total, largest = total + light, max(largest, float(plane.max()))
            black, white = _block_means(plane)
            dark.append(_mean_of_darkest(black.flatten(), white.flatten(), share=DARK_BLOCKS))
            means = (black + white) / 2
            if float(means.max()) > most:
                most = float(means.max())
                block = np.unravel_index(int(means.argmax()), means.shape)
                sides = _block_sides(plane)
                centre = (int(at) * side + side // 2 for at, side in zip(block, sides, strict=True))
                brightest = (*place, *centre)
        self._check_negative(negative, lowest)
        black_of_planes, white_of_planes = torch.tensor(dark, dtype=torch.float64).unbind(1)
        _, darkest = _mean_of_darkest(black_of_planes, white_of_planes, share=DARK_PLANES)
        return Survey(total=total, largest=largest, darkest=max(0.0, darkest), brightest=brightest)

    def _check_negative(self, negative: int, lowest: float) -> None:
        """Photons are at least 0; with read noise a few values stray below, which are clamped."""
        share = negative / math.prod(self.shape)
        if negative and self.camera is None:
            raise ValueError(
                f"{self.path} has {negative} negative values, the lowest {lowest:g}, but photons are at least 0: if "
                f"a background was subtracted, take the image before that; if the values are of a camera, say its "
                f"gain, offset and read noise."
            )
        if share > 0.01:
            raise ValueError(
                f"{share:.1%} of the voxels of {self.path} are negative after offset and read noise, the lowest "
                f"{lowest:.3g} photons: the offset is too large, or the read noise is larger than "
                f"{self.read_noise_photons**0.5:g} electrons."
            )


@contextmanager
def open_volume(
    path: str | os.PathLike[str],
    *,
    axes: str | None = None,
    voxel_size_um: tuple[float, ...] | None = None,
    channel: int | None = None,
    camera: Camera | None = None,
) -> Iterator[Volume]:
    """Open a TIFF file or a Zarr folder without loading it.

    Parameters
    ----------
    path : str or path
        TIFF, OME-TIFF, ImageJ TIFF, or a folder ``.zarr``: an array, or an OME-Zarr group, of which the first data set
        of its first image is taken.
    axes, voxel_size_um : optional
        As for `images.read`, where the file does not tell.
    channel : int, optional
        Which channel, from 0; must be given if there are several, because each has a PSF of its own.
    camera : Camera, optional
        Its gain, offset and read noise turn the values into detected photons; by default they are photons.

    Yields
    ------
    Volume

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        As `images.read`, and if the channel is missing, or the camera has a map with a value for each pixel.

    Examples
    --------
    >>> import tempfile
    >>> image = images.Image(np.full((9, 32, 32), 150, np.uint16), axes="ZYX", voxel_size_um=(0.3, 0.1, 0.1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images.write(folder + "/stack.tif", image)
    ...     camera = Camera(gain_e_per_adu=0.5, offset_adu=100.0, read_noise_e=1.0)
    ...     with open_volume(folder + "/stack.tif", camera=camera) as volume:
    ...         volume.shape, volume.read((0, slice(0, 1), slice(0, 2)))
    ((9, 32, 32), tensor([[26., 26.]]))
    """
    _check_camera(camera)
    with images.open_image(path, axes=axes, voxel_size_um=voxel_size_um) as found:
        chosen = _chosen(found, channel)
        yield Volume(
            path=chosen.path,
            values=chosen.values,
            axes=chosen.axes,
            channel=chosen.channel,
            voxel_size_um=chosen.voxel_size_um,
            unit=chosen.unit,
            camera=camera,
        )


def _chosen(image: images.ImageOnDisk, channel: int | None) -> images.ImageOnDisk:
    """Choose the channel, if there are any."""
    if channel is not None:
        return image.at_channel(channel)
    if "C" not in image.axes:
        return image
    channels = image.shape[image.axes.index("C")]
    if channels > 1:
        raise ValueError(
            f"{image.path} has {channels} channels, each of another colour and so with a PSF of its own: choose one, "
            f"channel 0 to {channels - 1}."
        )
    return image.at_channel(0)


def _block_sides(plane: torch.Tensor) -> tuple[int, int]:
    return min(BLOCK, plane.shape[0]), min(BLOCK, plane.shape[1])


def _block_means(plane: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of the black and of the white pixels of a chessboard in each block."""
    sides = _block_sides(plane)
    rows, columns = plane.shape[0] // sides[0], plane.shape[1] // sides[1]
    blocks = plane[: rows * sides[0], : columns * sides[1]].reshape(rows, sides[0], columns, sides[1])
    if sides == (1, 1):
        return blocks[:, 0, :, 0], blocks[:, 0, :, 0]
    is_black = (torch.arange(sides[0])[:, None] + torch.arange(sides[1])) % 2 == 0
    by_block = blocks.movedim(2, 1)
    return by_block[..., is_black].mean(-1), by_block[..., ~is_black].mean(-1)


def _mean_of_darkest(black: torch.Tensor, white: torch.Tensor, *, share: float) -> tuple[float, float]:
    """Return the mean of both in the `share`, at least one, in which `black` is lowest."""
    places = torch.topk(black, math.ceil(share * black.numel()), largest=False).indices
    return float(black[places].mean()), float(white[places].mean())


def _check_camera(camera: Camera | None) -> None:
    if camera is None:
        return
    maps = [p.name for p in camera.declared() if isinstance(getattr(camera, p.name), torch.Tensor)]
    if maps:
        raise ValueError(f"{maps[0]} is a map, but must be one number: apply the map, and write the photons, first.")
    if camera.em_gain > 1:
        raise ValueError(
            f"em_gain is {camera.em_gain:g}, but must be 1: an EM register doubles the variance, so that its electrons "
            f"are no photon counts. Divide the image by 2·em_gain/gain_e_per_adu after the offset, and pass no camera."
        )
