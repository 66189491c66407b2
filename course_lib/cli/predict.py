"""``course predict``: restore an image of your own, however large, with a trained model."""

import argparse
from pathlib import Path

from course_lib import devices, images
from course_lib.cli._batch import add_images, for_each, stem_of
from course_lib.cli._messages import tell, told_at_once
from course_lib.images.tiled_run import check_target, journal_path
from course_lib.networks import Model, predict_on_disk

__all__ = ["add"]

RESULT = "_restored.ome.tif"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser(
        "predict",
        help="restore images of any size with a trained model",
        description="Restore an image with a model that course train-care wrote. Tiles are read from disk and written "
        "to disk; an interrupted run goes on when the same command is given again.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="what course train-care wrote")
    add_images(parser, also=" or Zarr folder")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUTPUT",
        help="TIFF or .zarr folder; of several images, a folder (default: IMAGE_restored.ome.tif)",
    )
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX")
    parser.add_argument("--channel", type=int, metavar="N", help="which channel, from 0 (default: each by itself)")
    parser.add_argument(
        "--normalization",
        choices=("training", "image"),
        default="training",
        help="training: the image is in the training's unit; image: fit the image's own percentiles, where camera "
        "offset or gain differ (default training)",
    )
    parser.add_argument(
        "--views", type=int, choices=(1, 8), default=1, help="8 averages over turned and mirrored images (default 1)"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "auto"),
        default="float32",
        help="bfloat16 is faster on processors that have it, and coarser (default float32)",
    )
    parser.add_argument("--memory-gib", type=float, default=1.0, metavar="X", help="memory for a tile (default 1 GiB)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    for_each(arguments, _predict, result=RESULT)


def _predict(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    path: Path = given["image"]
    output: Path = given["output"] or path.with_name(f"{stem_of(path)}{RESULT}")
    check_target(output, overwrite=given["overwrite"], source=path)
    device = devices.resolve(given["device"])
    model = Model.load(given["model"])
    with told_at_once(given), images.open_image(path, axes=given["axes"]) as opened:
        image = opened if given["channel"] is None else opened.at_channel(given["channel"])
        try:
            done = predict_on_disk(
                model,
                image,
                output,
                normalization=given["normalization"],
                views=given["views"],
                memory_gib=given["memory_gib"],
                device=device,
                precision=given["precision"],
                overwrite=given["overwrite"],
            )
        except KeyboardInterrupt:
            kept = "finished tiles are kept: give the same command to go on"
            tell(f"interrupted; {kept if journal_path(output).exists() else 'nothing was written'}.")
            raise SystemExit(130) from None
        restored = images.blank(image.shape, axes=image.axes, voxel_size_um=image.voxel_size_um, unit=image.unit)
    print(
        f"{output}: {restored}",
        f"device: {devices.describe(device)}",
        f"model: {given['model']}, {model.method}, {model.network.config.dimensions}D, best validation loss "
        f"{min((record.validation_loss for record in model.history), default=float('nan')):.4g}",
        f"tiles: {done.tiles}{', of a run that was interrupted' if done.resumed else ''}",
        sep="\n  ",
    )
