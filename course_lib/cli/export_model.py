"""``course export-model``: a trained model as ONNX, for programs other than this course."""

import argparse
from pathlib import Path

from course_lib.networks import Model, export_onnx

__all__ = ["add"]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser(
        "export-model",
        help="write a trained model as ONNX",
        description="Write a model that course train-care wrote as ONNX, for programs that know nothing of torch. The "
        "graph takes the image in its unit and gives the answer in its unit; its sides must be whole multiples of what "
        "the command prints.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="what course train-care wrote")
    parser.add_argument("-o", "--output", type=Path, metavar="OUTPUT", help="file to write (default: MODEL.onnx)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    output: Path = arguments.output or arguments.model.with_suffix(".onnx")
    if output.exists() and not arguments.overwrite:
        raise ValueError(f"{output} exists: choose another name, or add --overwrite to replace it.")
    model = Model.load(arguments.model)
    try:
        export_onnx(model, output)
    except ImportError as error:
        raise ValueError(str(error)) from error
    config = model.network.config
    axes = "N C Y X" if config.dimensions == 2 else "N C Z Y X"
    print(
        f"{output}: {output.stat().st_size / 1e6:.1f} MB",
        f"image: {axes}, float32, {config.in_channels} channels, sides in whole multiples of "
        f"{' × '.join(map(str, config.steps))} pixels",
        f"margin of tiles: {' × '.join(map(str, config.halo))} pixels",
        sep="\n  ",
    )
