"""Is the offset credible that the noise points to? No camera gives a value below 0, and light is above its offset."""

import math

from course_lib.noise import Calibration

__all__ = ["doubt_of_offset"]

LARGEST_READ_NOISE_E = 10.0
"""What the cameras of microscopes have at most, but for an EMCCD without its gain."""


def doubt_of_offset(calibration: Calibration, *, minimum: float, are_whole: bool) -> str:
    """Return why an offset that was found without knowing the read noise is not credible; nothing where it is.

    Read noise shifts the offset that is found down, by :math:`R^2/g` ADU. What even 10 e⁻ do not explain, and two
    standard errors neither, is another mistake: values that were smoothed, compressed or rescaled after the recording.

    Parameters
    ----------
    calibration : Calibration
        Of `noise.calibrate_image` or `noise.calibrate_stack`.
    minimum : float
        The smallest value of the image; below 0 only if something was subtracted.
    are_whole : bool
        Whether the values are whole numbers, so that the offset is known to a grey level at best.

    Examples
    --------
    >>> import torch
    >>> levels = torch.tensor([16.0, 100.0])
    >>> found = Calibration(25.0, 1.0, -609.0, 167.0, 0.0, levels, 2 + levels / 25, "nothing")
    >>> doubt_of_offset(found, minimum=0.0, are_whole=True)[:81]
    'The noise points to an offset of -609 ± 1.7e+02 ADU, which is not credible: below'
    """
    if calibration.known != "nothing":
        return ""
    gain, offset, error = calibration.gain_e_per_adu, calibration.offset_adu, 2 * calibration.offset_standard_error
    lowest, darkest = min(0.0, minimum), float(calibration.mean_adu.min())
    found = f"The noise points to an offset of {offset:.3g} ± {error / 2:.2g} ADU, which is not credible:"
    remedy = (
        "Smoothing, compression, a rescaled contrast or fine structure make it wrong. Use a raw image, or give the "
        "mean of a dark frame, --offset-adu."
    )
    if offset + error < lowest - LARGEST_READ_NOISE_E**2 / gain:
        read_noise = math.sqrt((lowest - offset) * gain)
        return (
            f"{found} below {lowest:g} it would take a read noise of {read_noise:.2g} e⁻, and cameras have 1 to "
            f"{LARGEST_READ_NOISE_E:g}. {remedy}"
        )
    if offset - error > darkest + are_whole:
        return f"{found} the darkest areas are {darkest:.3g}, and light cannot be negative. {remedy}"
    return ""
