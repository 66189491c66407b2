import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from course_lib import images
from course_lib.images.journal import Journal
from course_lib.images.target import TiffTarget
from course_lib.images.tiled_run import check_target, journal_path

SHAPE = (2, 30, 40)
VALUES = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run(*, sides: tuple[int, ...] = (16, 16), overwrite: bool = False, **settings: Any) -> images.TiledRun:
    return images.TiledRun(
        target=Path("a.tif"),
        like=images.blank(SHAPE, axes="TYX"),
        sides=sides,
        halo=(2, 2),
        settings=settings,
        overwrite=overwrite,
    )


def copied(tile: images.Tile, _tick: Callable[[float], Any]) -> torch.Tensor:
    return VALUES[tile.place]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def interrupt(run: images.TiledRun, *, after: int = 3) -> None:
    """Press Ctrl-C in the tile after so many."""
    done = 0

    def compute(tile: images.Tile, tick: Callable[[float], Any]) -> torch.Tensor:
        nonlocal done
        if done == after:
            raise KeyboardInterrupt
        done += 1
        run.notes["tiles"] = done
        return copied(tile, tick)

    with pytest.raises(KeyboardInterrupt):
        run.compute(compute, device=CPU, progress=False)


def test_all_tiles_make_the_image(folder: Path) -> None:
    run = make_run()
    assert run.compute(copied, device=CPU, progress=False) == 12
    assert not run.resumed
    assert torch.equal(images.read("a.tif").tensor(), VALUES)
    assert names(folder) == {"a.tif"}


def test_the_tile_that_is_asked_for_is_first() -> None:
    order = []

    def compute(tile: images.Tile, tick: Callable[[float], Any]) -> torch.Tensor:
        order.append(tile)
        return copied(tile, tick)

    make_run().compute(compute, device=CPU, first=(1, 20, 39), progress=False)
    assert order[0].holds((1, 20, 39))
    assert len(order) == 12


def test_an_interrupted_run_goes_on_with_what_it_noted(folder: Path) -> None:
    interrupt(make_run(dose=1))
    assert names(folder) == {"a.tif.partial", "a.tif.partial.json"}
    run = make_run(dose=1)
    assert run.resumed
    assert run.notes == {"tiles": 3}
    assert run.compute(copied, device=CPU, progress=False) == 9
    assert torch.equal(images.read("a.tif").tensor(), VALUES)
    assert names(folder) == {"a.tif"}


def test_other_settings_are_refused_unless_overwriting() -> None:
    interrupt(make_run(dose=1))
    with pytest.raises(ValueError, match=r"other settings: dose was 1 and is 2\. Run it with the former .*overwrite"):
        make_run(dose=2)
    run = make_run(dose=2, overwrite=True)
    assert not run.resumed
    assert run.notes == {}


def test_a_damaged_journal_is_told() -> None:
    interrupt(make_run())
    journal_path(Path("a.tif")).write_text("{")
    with pytest.raises(ValueError, match=r"partial.json is damaged .*: delete it to start anew"):
        make_run()


def test_a_journal_that_a_kill_left_behind_is_not_believed() -> None:
    journal = journal_path(Path("a.tif"))
    journal.write_text(json.dumps({"settings": {}, "remaining": [], "notes": {}}))
    run = make_run()
    assert not run.resumed
    run.compute(copied, device=CPU, progress=False)
    assert torch.equal(images.read("a.tif").tensor(), VALUES)


def test_an_interruption_before_the_journal_is_saved_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal_path(Path("a.tif")).write_text("of another run")

    def killed(self: Journal) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            make_run(overwrite=True).compute(copied, device=CPU, progress=False)
    assert names(folder) == set()


def test_an_interruption_while_a_tile_is_written_computes_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    write, places = TiffTarget.write, []

    def half(self: TiffTarget, place: Any, values: torch.Tensor) -> None:
        places.append(place)
        if len(places) == 2:
            write(self, place, torch.zeros_like(values))
            raise KeyboardInterrupt
        write(self, place, values)

    with monkeypatch.context() as patch:
        patch.setattr(TiffTarget, "write", half)
        with pytest.raises(KeyboardInterrupt):
            make_run().compute(copied, device=CPU, progress=False)
    assert make_run().compute(copied, device=CPU, progress=False) == 11
    assert torch.equal(images.read("a.tif").tensor(), VALUES)


def test_a_full_disk_keeps_what_is_finished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"could not be written: No space .*free space, and run the same again"):
            make_run().compute(copied, device=CPU, progress=False)
    assert "a.tif" not in names(folder)
    assert make_run().resumed


def test_a_disk_that_is_too_small_is_told_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(OSError, match=r"needs 9.6e-06 GB, but its disk has 1e-06 GB free; nothing is left there"):
        make_run().compute(copied, device=CPU, progress=False)
    assert names(folder) == set()


def test_out_of_memory_halves_the_tiles() -> None:
    def greedy(tile: images.Tile, tick: Callable[[float], Any]) -> torch.Tensor:
        if max(tile.sides) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return copied(tile, tick)

    with pytest.warns(UserWarning, match=r"Y [13][05] × X [24]0 voxels needs more memory than CPU.*goes on with Y"):
        assert make_run(sides=(30, 40)).compute(greedy, device=CPU, progress=False) == 8
    assert torch.equal(images.read("a.tif").tensor(), VALUES)


def test_no_memory_at_all_is_an_error() -> None:
    def hopeless(_tile: images.Tile, _tick: Callable[[float], Any]) -> torch.Tensor:
        raise MemoryError

    with (
        pytest.warns(UserWarning, match="goes on with"),
        pytest.raises(ValueError, match="not even enough for one voxel with its margin of Y 2 × X 2"),
    ):
        make_run(sides=(2, 2)).compute(hopeless, device=CPU, progress=False)


def test_targets_that_cannot_be_written(folder: Path) -> None:
    images.write("source.tif", images.Image(np.ones((4, 4), np.float32), axes="YX"))
    with pytest.raises(FileNotFoundError, match=r"there is no folder nowhere"):
        check_target(Path("nowhere/a.tif"), overwrite=False)
    with pytest.raises(ValueError, match=r"a.png must end in .tif, .tiff or .zarr"):
        check_target(Path("a.png"), overwrite=False)
    with pytest.raises(ValueError, match=r"source.tif exists: .*overwrite=True"):
        check_target(Path("source.tif"), overwrite=False)
    with pytest.raises(ValueError, match="is the image itself"):
        check_target(Path("source.tif"), overwrite=True, source=folder / "source.tif")
