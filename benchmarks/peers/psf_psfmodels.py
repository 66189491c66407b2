"""psfmodels' PSFs: Simpson's rule at distances a third of a pixel apart, then straight lines in between."""

import numpy as np
import psfmodels
from psf_measuring import main


def arguments(case: dict) -> dict:
    return {
        "z": (np.arange(case["planes"]) - case["planes"] // 2) * case["step_um"],
        "nx": case["side"],
        "dxy": case["pixel_um"],
        "NA": case["aperture"],
        **dict.fromkeys(("ns", "ni", "ni0", "ng", "ng0"), case["index"]),
    }


def vectorial(case: dict) -> np.ndarray:
    return psfmodels.make_psf(wvl=case["emission_um"], oversample_factor=1, **arguments(case))


def integrated(case: dict) -> np.ndarray:
    return psfmodels.make_psf(wvl=case["emission_um"], oversample_factor=3, **arguments(case))


def confocal(case: dict) -> np.ndarray:
    return psfmodels.confocal_psf(
        ex_wvl=case["excitation_um"],
        em_wvl=case["emission_um"],
        pinhole_au=case["pinhole_airy_units"],
        oversample_factor=1,
        **arguments(case),
    )


if __name__ == "__main__":
    main({"vectorial": vectorial, "integrated": integrated, "confocal": confocal})
