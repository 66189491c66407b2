"""The PSFs of course_lib, measured like those of its peers."""

import torch
from psf_measuring import main

from course_lib import optics


def arguments(case: dict) -> dict:
    microscope = optics.Microscope(
        numerical_aperture=case["aperture"],
        immersion_index=case["index"],
        sample_index=case["index"],
        emission_wavelength_nm=1000 * case["emission_um"],
        excitation_wavelength_nm=1000 * case["excitation_um"],
    )
    return {
        "microscope": microscope,
        "shape": (case["planes"], case["side"], case["side"]),
        "voxel_size_um": (case["step_um"], case["pixel_um"], case["pixel_um"]),
    }


def vectorial(case: dict) -> torch.Tensor:
    return optics.vectorial_psf(**arguments(case))


def integrated(case: dict) -> torch.Tensor:
    return optics.vectorial_psf(**arguments(case), points_per_pixel=3)


def confocal(case: dict) -> torch.Tensor:
    return optics.confocal_psf(**arguments(case), pinhole_airy_units=case["pinhole_airy_units"])


if __name__ == "__main__":
    main({"vectorial": vectorial, "integrated": integrated, "confocal": confocal})
