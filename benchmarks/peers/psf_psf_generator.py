"""psf-generator's vectorial PSF, with the 129 nodes that its Simpson's rule needs (128, its default, gives 4e-3).

It computes the field of one polarization; that of the other is its transpose. Its pitch is pix_size·n/(n - 1), and a
plane is in focus only if their number is odd: it computes one plane more, which is dropped.
"""

import torch
from psf_generator import VectorialSphericalPropagator
from psf_measuring import main

NODES = 129


def vectorial(case: dict) -> torch.Tensor:
    planes, side = case["planes"] + 1, case["side"]
    propagator = VectorialSphericalPropagator(
        n_pix_pupil=NODES,
        n_pix_psf=side,
        pix_size=1000 * case["pixel_um"] * (side - 1) / side,
        n_defocus=planes,
        defocus_step=1000 * case["step_um"] * (planes - 1) / planes,
        wavelength=1000 * case["emission_um"],
        na=case["aperture"],
        n_i=case["index"],
        n_i0=case["index"],
        apod_factor=True,
    )
    polarized = propagator.compute_focus_field().abs().square().sum(1)[: case["planes"]]
    return polarized + polarized.transpose(-2, -1)


if __name__ == "__main__":
    main({"vectorial": vectorial})
