"""Compute an image tile by tile, from disk to disk, so that it can be interrupted and goes on.

Each finished tile is on the disk before the journal says so. The caller brings the computation of one tile; what is
finished, what is left, full disks and too little memory are looked after here.
"""

import functools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from course_lib import devices
from course_lib.images.image import Image
from course_lib.images.journal import Journal
from course_lib.images.target import make_target, partial_path, remove
from course_lib.images.tiles import Tile, describe_sides
from course_lib.images.zarr_folder import require_zarr

__all__ = ["TiledRun", "check_target", "journal_path"]

Compute = Callable[[Tile, Callable[[float], Any]], torch.Tensor]
"""Gets a tile, and a function to tell each share of it that is done; returns its values, without margins."""


def journal_path(target: Path) -> Path:
    """Return the journal of an unfinished run, beside the target."""
    return target.with_name(f"{partial_path(target).name}.json")


def check_target(target: Path, *, overwrite: bool, source: Path | None = None) -> None:
    """Raise if `target` cannot be written: no such folder, an unknown format, or a file that is to be kept."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}: make it first, or check the spelling.")
    if target.suffix.lower() not in (".tif", ".tiff", ".zarr"):
        raise ValueError(f"{target} must end in .tif, .tiff or .zarr, which say how it is stored: rename it.")
    if target.suffix.lower() == ".zarr":
        require_zarr()
    if not target.exists():
        return
    if source is not None and target.resolve() == source.resolve():
        raise ValueError(f"{target} is the image itself: choose another name for the result.")
    if not overwrite:
        raise ValueError(f"{target} exists: choose another name, or pass overwrite=True to replace it.")


@dataclass(kw_only=True)
class TiledRun:
    """A result that is computed tile by tile.

    Parameters
    ----------
    target : Path
        See `make_target`. Until it is complete it is called ``target.partial``, with a journal ``target.partial.json``
        beside it.
    like : Image
        Axes, shape, voxel size and unit of the result: see `blank`.
    sides, halo : sequence of int
        Voxels of the largest tile, and of its margins, along the spatial axes that a tile has.
    settings : dict
        All that changes the result, for the journal.
    overwrite : bool
        Discard an interrupted run with other settings.

    Attributes
    ----------
    resumed : bool
        Whether an interrupted run of the same settings goes on.

    Raises
    ------
    ValueError
        If there is an interrupted run with other settings, or its journal is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from course_lib import images
    >>> image = torch.arange(12.0).reshape(3, 4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "doubled.tif"
    ...     like = images.blank((3, 4), axes="YX")
    ...     run = TiledRun(target=target, like=like, sides=(2, 2), halo=(0, 0), settings={"factor": 2})
    ...     run.compute(lambda tile, tick: 2 * image[tile.place], device=torch.device("cpu"))
    ...     images.read(target).data.tolist()
    4
    [[0.0, 2.0, 4.0, 6.0], [8.0, 10.0, 12.0, 14.0], [16.0, 18.0, 20.0, 22.0]]
    """

    target: Path
    like: Image
    sides: Sequence[int]
    halo: Sequence[int]
    settings: dict[str, Any]
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Take over an interrupted run of the same settings, if there is one."""
        self._store = make_target(self.target, self.like)
        self._journal = Journal(path=journal_path(self.target), settings=self.settings)
        self.resumed = self._resume()

    @property
    def notes(self) -> dict[str, Any]:
        """What finished tiles leave to the others; saved with each tile that is finished after it changed."""
        return self._journal.notes

    def compute(
        self,
        compute: Compute,
        *,
        device: torch.device,
        first: Sequence[int] = (),
        progress: bool = True,
        description: str = "tiles",
    ) -> int:
        """Work off the tiles that are left, and give the result its name.

        Parameters
        ----------
        compute : callable
            Gets a tile, and a function that is told each share of it that is done; returns its values.
        device : torch.device
            Where it computes; if memory runs out there, the tiles are halved, with a warning.
        first : sequence of int
            A voxel of the image; its tile is computed first.
        progress : bool
            Show a progress bar, if a terminal is there to show it.
        description : str
            Its name.

        Returns
        -------
        int
            How many tiles were computed now.
        """
        run = self._journal
        if not self.resumed:
            self._begin()
        run.remaining = [piece for tile in run.remaining for piece in tile.split(self.sides)]
        if first:
            run.remaining.sort(key=lambda tile: not tile.holds(first))
        left = sum(math.prod(tile.sides) for tile in run.remaining)
        whole = math.prod(self.like.data.shape)
        done = 0
        with tqdm(
            total=whole,
            initial=whole - left,
            unit="voxel",
            unit_scale=True,
            desc=description,
            disable=None if progress else True,
        ) as bar:
            while run.remaining:
                tile = run.remaining[0]
                size, shown = math.prod(tile.sides), bar.n
                try:
                    values = compute(tile, functools.partial(_advance, bar, size))
                except (torch.OutOfMemoryError, MemoryError):
                    run.remaining = self._smaller(run.remaining, device)
                    bar.update(shown - bar.n)
                    continue
                with self._kept():
                    self._store.write(tile.place, values)
                    del run.remaining[0]
                    run.save()
                bar.update(shown + size - bar.n)
                done += 1
        with self._kept():
            self._store.finish()
        run.path.unlink(missing_ok=True)
        return done

    def _begin(self) -> None:
        shape, dimensions = self.like.data.shape, len(self.sides)
        frames = np.ndindex(*shape[: len(shape) - dimensions])
        self._journal.remaining = [
            Tile(frame=frame, start=(0,) * dimensions, stop=shape[-dimensions:]) for frame in frames
        ]
        self._journal.path.unlink(missing_ok=True)  # of another run: it would tell of tiles that the new file lacks
        with self._kept():
            self._store.create()
            self._journal.save()

    def _resume(self) -> bool:
        if not self._journal.path.exists() or not partial_path(self.target).exists():
            return False
        changes = self._journal.load()
        if changes and not self.overwrite:
            raise ValueError(
                f"{partial_path(self.target)} is from an interrupted run with other settings: {'; '.join(changes)}. "
                f"Run it with the former settings to finish it, delete it, or pass overwrite=True to start anew."
            )
        return not changes

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Leave no file without a journal, and say what is kept when the disk is full."""
        try:
            yield
        except OSError as error:
            raise OSError(f"{self.target} could not be written: {error.strerror or error}; {self._left()}.") from error
        finally:
            if not self._journal.path.exists():
                remove(partial_path(self.target))

    def _left(self) -> str:
        """Return what is kept, and how to go on."""
        if self._journal.path.exists():
            return (
                f"what is finished is kept in {partial_path(self.target)}; free space, and run the same again to go on"
            )
        return "nothing is left there; free space, or write to another disk"

    def _smaller(self, remaining: list[Tile], device: torch.device) -> list[Tile]:
        """Halve the tiles along their longest axis, and say so."""
        if device.type == "cuda":
            torch.cuda.empty_cache()
        sides = remaining[0].sides
        longest = max(sides)
        if longest == 1:
            raise ValueError(
                f"memory on {devices.describe(device)} is not even enough for one voxel with its margin of "
                f"{describe_sides(self.halo)}: close other programs, or make the margins smaller."
            )
        halved = tuple(math.ceil(side / 2) if side == longest else side for side in sides)
        warnings.warn(
            f"a tile of {describe_sides(sides)} voxels needs more memory than {devices.describe(device)} has: it "
            f"goes on with {describe_sides(halved)}.",
            stacklevel=4,
        )
        return [piece for tile in remaining for piece in tile.split(halved)]


def _advance(bar: Any, voxels: int, share: float) -> None:
    bar.update(share * voxels)
