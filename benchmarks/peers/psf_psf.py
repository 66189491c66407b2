"""C. Gohlke's psf: one quadrant and 80 nodes, mirrored to a volume.

Its emission model sees the dipole through a tube lens and is 42 % off the reference; its focus of a laser that fills
the aperture evenly, the same by reciprocity, is closer and stands here for the widefield PSF. Its volume has an odd
number of planes, of which the last is dropped.
"""

import numpy as np
from psf import PSF, PsfType
from psf_measuring import main

EVEN_ILLUMINATION = 0.01


def arguments(case: dict) -> dict:
    shape = (case["planes"] // 2 + 1, case["side"] // 2 + 1)
    return {
        "shape": shape,
        "dims": ((shape[0] - 1) * case["step_um"], (shape[1] - 1) * case["pixel_um"]),
        "num_aperture": case["aperture"],
        "refr_index": case["index"],
        "underfilling": EVEN_ILLUMINATION,
    }


def vectorial(case: dict) -> np.ndarray:
    kind = PsfType.ISOTROPIC | PsfType.EXCITATION
    return PSF(kind, ex_wavelen=1000 * case["emission_um"], **arguments(case)).volume()[: case["planes"]]


def confocal(case: dict) -> np.ndarray:
    made = PSF(
        PsfType.ISOTROPIC | PsfType.CONFOCAL,
        ex_wavelen=1000 * case["excitation_um"],
        em_wavelen=1000 * case["emission_um"],
        pinhole_radius=0.61 * case["pinhole_airy_units"] * case["emission_um"] / case["aperture"],
        magnification=63.0,
        **arguments(case),
    )
    return made.volume()[: case["planes"]]


if __name__ == "__main__":
    main({"vectorial": vectorial, "confocal": confocal})
