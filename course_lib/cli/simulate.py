"""``course simulate``: what a camera would record of an image of mean photons."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from course_lib import images, noise
from course_lib.parameters import add_arguments, from_arguments

__all__ = ["add"]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser; every parameter of `Camera` becomes a flag."""
    parser = commands.add_parser(
        "simulate",
        help="record an image of mean photons with a simulated camera",
        description="Read an image of mean photons per pixel, record it with a simulated camera, write 16-bit ADU.",
    )
    parser.add_argument("photons", type=Path, metavar="PHOTONS", help="TIFF of mean photons a pixel")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="OME-TIFF to write")
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="factor on the photons (default 1)")
    parser.add_argument("--exposure-ms", type=float, default=100.0, metavar="X", help="exposure (default 100 ms)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the noise (default: a new one each time)")
    add_arguments(parser, noise.Camera)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    camera = from_arguments(noise.Camera, vars(arguments))
    image = images.read(arguments.photons, axes=arguments.axes)
    adu = camera.capture(image.tensor() * arguments.scale, exposure_ms=arguments.exposure_ms, rng=arguments.seed)
    recorded = dataclasses.replace(image, data=adu.numpy().astype(np.uint16), unit="adu")
    images.write(arguments.output, recorded)
    print(f"{arguments.output}: {recorded}")
