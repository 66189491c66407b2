"""``course simulate``: an object, the microscope that blurs it, and the camera that records it."""

import argparse
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_lib import images, optics, samples
from course_lib.cli._flags import (
    PSFS,
    WIDEFIELD,
    add_microscope,
    add_psf_size,
    check_model,
    flag,
    given_numbers,
    microscope,
    sizes_um,
    whole_numbers,
)
from course_lib.cli._messages import tell, told_at_once
from course_lib.forward import ImagingSystem
from course_lib.noise import Camera
from course_lib.parameters import Parameter, add_arguments, from_arguments
from course_lib.seeding import generator

__all__ = ["add"]

SAMPLES = ("filaments", "nuclei", "beads", "resolution-target")
SHAPE = (24, 256, 256)
VOXEL_SIZE_UM = (0.2, 0.08, 0.08)
LARGEST_PSF = (65, 129, 129)
WIDEST = 511
"""Pixels along y and x that a widefield PSF has at most by default; 65 planes of that take 70 MB."""
NUCLEAR_SHARE = 0.3
"""Share of the field that nuclei cover when no count is given."""

NUMBERS = (
    Parameter(name="scale", default=1.0, meaning="factor on the photons", minimum=0),
    Parameter(name="background_photons", default=0.0, meaning="photons of the background", minimum=0),
    Parameter(name="peak_photons", default=100.0, meaning="photons of the brightest pixel", minimum=0),
    Parameter(name="exposure_ms", default=100.0, meaning="exposure", unit="ms", minimum=0),
)
FOR_SAMPLES = ("shape", "voxel_size_um", "count", "diameter_um", "peak_photons")
FOR_FILES = ("axes", "scale")
KINDS = ("", "mean", "truth", "labels")
"""What is written beside the output, as its name says."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser; every parameter of `Microscope` and `Camera` becomes a flag."""
    parser = commands.add_parser(
        "simulate",
        help="simulate an acquisition of an object, or record an image of mean photons with a simulated camera",
        description="From a simulated sample: draw it, blur it, record it, and write the truth and the labels beside "
        "the recorded image. From a file of mean photons a pixel: blur it if --psf is given, and record it. The "
        "recorded image is 16-bit ADU.",
    )
    parser.add_argument(
        "source", metavar="SOURCE", help=f"a sample ({', '.join(SAMPLES)}) or a TIFF of mean photons a pixel"
    )
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUTPUT",
        help="OME-TIFF to write, cell.ome.tif for example; beside it come cell_mean.ome.tif (photons at the camera, "
        "where something is blurred) and, from a sample, cell_truth.ome.tif (the photons in the voxels that they "
        "come from) and cell_labels.ome.tif (nuclei)",
    )
    parser.add_argument(
        "--psf", choices=PSFS, help="model of the PSF (default: vectorial for a sample, none for a file)"
    )
    add_psf_size(
        parser,
        model="--psf",
        shape_help="voxels of the PSF; what is blurred further is lost (default: as far as the image reaches, at most "
        f"{','.join(map(str, LARGEST_PSF))}, or in widefield as wide as the light, at most {WIDEST})",
    )
    parser.add_argument(
        "--background-photons",
        type=float,
        default=0.0,
        metavar="X",
        help="photons added to every pixel (default 0)",
    )
    parser.add_argument("--exposure-ms", type=float, default=100.0, metavar="X", help="exposure (default 100 ms)")
    parser.add_argument("--overwrite", action="store_true", help="replace images that exist")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of sample and noise (default: new ones each time)")

    from_sample = parser.add_argument_group("from a sample")
    from_sample.add_argument(
        "--shape",
        type=whole_numbers,
        metavar="Z,Y,X",
        help=f"voxels, or Y,X for a plane (default {','.join(map(str, SHAPE))})",
    )
    from_sample.add_argument(
        "--voxel-size-um",
        type=sizes_um,
        metavar="Z,Y,X",
        help=f"size of a voxel in µm (default {','.join(map(str, VOXEL_SIZE_UM))})",
    )
    from_sample.add_argument("--count", type=int, metavar="N", help="filaments, nuclei or beads")
    from_sample.add_argument("--diameter-um", type=float, metavar="X", help="diameter of each of them")
    from_sample.add_argument(
        "--peak-photons",
        type=float,
        metavar="X",
        help="photons of the brightest pixel of the mean image, without the background (default 100)",
    )
    from_file = parser.add_argument_group("from a file")
    from_file.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX")
    from_file.add_argument("--scale", type=float, metavar="X", help="factor on the photons (default 1)")
    add_microscope(parser, title="microscope")
    add_arguments(parser, Camera)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    _check_flags(given)
    with told_at_once(given) as told:
        written = _simulate_sample(given) if given["source"] in SAMPLES else _simulate_file(given)
    if any("Nyquist" in text for text in told):
        tell("--voxel-size-um sets the voxels of a sample.")
    for kind, image in written.items():
        path = _beside(given["output"], kind)
        images.write(path, image)
        print(f"{path}: {image}")


def _check_flags(given: dict[str, Any]) -> None:
    is_sample = given["source"] in SAMPLES
    for name in FOR_FILES if is_sample else FOR_SAMPLES:
        if given[name] is not None:
            kind = "a sample" if is_sample else "a file"
            raise ValueError(f"{flag(name)} has no meaning for {kind}, here {given['source']}: leave it.")
    if not is_sample and given["psf"] is None:
        asked = [*given_numbers(given), *(["psf_shape"] if given["psf_shape"] else [])]
        if asked:
            raise ValueError(f"{flag(asked[0])} has no meaning without a blur: add --psf vectorial, for example.")
    check_model(given, model=given["psf"] or ("vectorial" if is_sample else None), asked_by="--psf")
    if given["output"].suffix.lower() not in (".tif", ".tiff"):
        raise ValueError(f"{given['output']} must end in .tif or .tiff, because it will be a TIFF file: rename it.")
    for declared in NUMBERS:
        if given[declared.name] is not None:
            declared.check(given[declared.name])
    from_arguments(Camera, given)
    generator(given["seed"])
    existing = [path for kind in KINDS if (path := _beside(given["output"], kind)).exists()]
    if existing and not given["overwrite"]:
        raise ValueError(f"{existing[0]} exists: choose another name, or add --overwrite to replace it.")


def _simulate_sample(given: dict[str, Any]) -> dict[str, images.Image]:
    """Return the images to write, by what they show; the recorded one first."""
    shape = given["shape"] or SHAPE
    voxel_size_um = given["voxel_size_um"] or VOXEL_SIZE_UM[-len(shape) :]
    draw = generator(given["seed"])
    density, labels = _sample(given, shape, voxel_size_um, draw)
    camera = from_arguments(Camera, given)
    psf = _psf(given, shape, voxel_size_um, model=given["psf"] or "vectorial")
    blurred = ImagingSystem(psf=psf, camera=camera).expected(density)
    if not blurred.any():
        raise ValueError(f"no light: the {given['source']} lie outside the field. Try another --seed.")
    peak_photons = 100.0 if given["peak_photons"] is None else given["peak_photons"]
    photons_per_fluorophore = peak_photons / blurred.max()
    mean = photons_per_fluorophore * blurred + given["background_photons"]
    make = _image_maker("ZYX"[-len(shape) :], voxel_size_um)
    written = {
        "": make(_record(given, camera, mean, rng=draw), "adu"),
        "mean": make(mean.numpy(), "photons"),
        "truth": make((photons_per_fluorophore * density).numpy(), "photons"),
    }
    if labels is not None:
        written["labels"] = make(labels.numpy(), "arbitrary")
    return written


def _simulate_file(given: dict[str, Any]) -> dict[str, images.Image]:
    if not Path(given["source"]).exists():
        raise FileNotFoundError(
            f"{given['source']!r} is neither a sample ({', '.join(SAMPLES)}) nor a file: check the spelling."
        )
    image = images.read(given["source"], axes=given["axes"])
    photons = image.tensor() * (1.0 if given["scale"] is None else given["scale"])
    camera = from_arguments(Camera, given)
    make = _image_maker(image.axes, image.voxel_size_um)
    if given["psf"] is None:
        recorded = _record(given, camera, photons + given["background_photons"], rng=generator(given["seed"]))
        return {"": make(recorded, "adu")}
    if image.voxel_size_um is None:
        raise ValueError(
            f"{given['source']} does not say how large its voxels are, so no PSF can be made for it: "
            f"write it with images.write, or set its scale in Fiji."
        )
    shape = tuple(photons.shape[-len(image.voxel_size_um) :])
    psf = _psf(given, shape, image.voxel_size_um, model=given["psf"])
    system = ImagingSystem(psf=psf, camera=camera, background_photons=given["background_photons"])
    mean = system.expected(photons)
    recorded = _record(given, camera, mean, rng=generator(given["seed"]))
    return {"": make(recorded, "adu"), "mean": make(mean.numpy(), "photons")}


def _record(
    given: dict[str, Any], camera: Camera, photons: torch.Tensor, *, rng: torch.Generator
) -> np.ndarray[Any, Any]:
    return camera.capture(photons, exposure_ms=given["exposure_ms"], rng=rng).numpy().astype(np.uint16)


def _sample(
    given: dict[str, Any], shape: tuple[int, ...], voxel_size_um: tuple[float, ...], rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Draw the sample: fluorophores per voxel, and the labels where there are any."""
    chosen = {name: given[name] for name in ("count", "diameter_um") if given[name] is not None}
    match given["source"]:
        case "filaments":
            return samples.filaments(shape, voxel_size_um=voxel_size_um, rng=rng, **chosen), None
        case "beads":
            return samples.beads(shape, voxel_size_um=voxel_size_um, rng=rng, **chosen).density, None
        case "nuclei":
            field_um2 = math.prod(side * size for side, size in zip(shape[-2:], voxel_size_um[-2:], strict=True))
            nucleus_um2 = math.pi / 4 * chosen.get("diameter_um", 10.0) ** 2
            chosen.setdefault("count", max(1, round(NUCLEAR_SHARE * field_um2 / nucleus_um2)))
            return samples.nuclei(shape, voxel_size_um=voxel_size_um, rng=rng, **chosen)
    if chosen:
        raise ValueError(f"{flag(next(iter(chosen)))} has no meaning for the resolution target: leave it.")
    try:
        return samples.resolution_target(shape, voxel_size_um=voxel_size_um), None
    except ValueError as reason:
        raise ValueError(f"the resolution target does not fit, give a larger --shape: {reason}") from None


def _psf(
    given: dict[str, Any], shape: tuple[int, ...], voxel_size_um: tuple[float, ...], *, model: str
) -> torch.Tensor:
    chosen = microscope(given)
    _check_psf_shape(given["psf_shape"] or (), shape)
    psf_shape = given["psf_shape"] or _default_psf_shape(chosen, shape, voxel_size_um, model=model)
    if model == "confocal":
        pinhole = 1.0 if given["pinhole_airy_units"] is None else given["pinhole_airy_units"]
        return optics.confocal_psf(chosen, shape=psf_shape, voxel_size_um=voxel_size_um, pinhole_airy_units=pinhole)
    psf = PSFS[model](chosen, shape=psf_shape, voxel_size_um=voxel_size_um)
    if model in WIDEFIELD and psf.ndim == 3:
        _tell_what_is_left_out(psf, shape, voxel_size_um)
    return psf


def _check_psf_shape(psf_shape: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise if the PSF reaches further than from one border of the image to the other, or has other axes."""
    most = tuple(2 * side - 1 for side in shape)
    fits = len(psf_shape) == len(most) and all(1 <= side <= limit for side, limit in zip(psf_shape, most, strict=True))
    if psf_shape and not fits:
        raise ValueError(
            f"--psf-shape is {','.join(map(str, psf_shape))}, but must be from {','.join('1' * len(most))} to "
            f"{','.join(map(str, most))}, which reaches through the whole image of {','.join(map(str, shape))} voxels."
        )


def _default_psf_shape(
    microscope: optics.Microscope, shape: tuple[int, ...], voxel_size_um: tuple[float, ...], *, model: str
) -> tuple[int, ...]:
    """Return the voxels as far as the image reaches, at most `LARGEST_PSF`, but in widefield as wide as its light."""
    reach = tuple(2 * side - 1 for side in shape)
    planes = tuple(min(side, most) for side, most in zip(reach[:-2], LARGEST_PSF[:-2], strict=False))
    widths: tuple[int, ...] = LARGEST_PSF[-2:]
    if model in WIDEFIELD:
        light_um = microscope.light_reach_um(planes[0] // 2 * voxel_size_um[0] if planes else 0.0)
        needed = (2 * math.ceil(light_um / size) + 1 for size in voxel_size_um[-2:])
        widths = tuple(min(max(width, least), WIDEST) for width, least in zip(needed, widths, strict=True))
    return (*planes, *(min(side, most) for side, most in zip(reach[-2:], widths, strict=True)))


def _tell_what_is_left_out(psf: torch.Tensor, shape: tuple[int, ...], voxel_size_um: tuple[float, ...]) -> None:
    """Warn where a widefield PSF is too small for the light that reaches the image."""
    most = tuple(2 * side - 1 for side in shape)
    shares = ImagingSystem(psf=psf, camera=None).plane_shares
    left_out = 1 - float(torch.minimum(shares[0], shares[-1]))
    if left_out > 0.05 and (psf.shape[1] < most[1] or psf.shape[2] < most[2]):
        warnings.warn(
            f"the PSF leaves out {left_out:.0%} of the light of its outermost plane, being {psf.shape[1]} × "
            f"{psf.shape[2]} pixels wide: give --psf-shape more, up to {','.join(map(str, most))}.",
            stacklevel=2,
        )
    if psf.shape[0] < most[0]:
        warnings.warn(
            f"the PSF has {psf.shape[0]} planes, so that haze from further than "
            f"{psf.shape[0] // 2 * voxel_size_um[0]:.3g} µm is left out: give --psf-shape up to {most[0]} planes.",
            stacklevel=2,
        )


def _image_maker(
    axes: str, voxel_size_um: tuple[float, ...] | None
) -> Callable[[np.ndarray[Any, Any], images.Unit], images.Image]:
    return lambda data, unit: images.Image(data, axes=axes, voxel_size_um=voxel_size_um, unit=unit)


def _beside(output: Path, kind: str) -> Path:
    """Return cell_truth.ome.tif for cell.ome.tif and "truth"; `output` itself for ""."""
    if not kind:
        return output
    stem = output.name.removesuffix(output.suffix).removesuffix(".ome")
    return output.with_name(f"{stem}_{kind}{output.name.removeprefix(stem)}")
