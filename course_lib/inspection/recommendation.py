"""Which method to begin with. The order of the questions is that of how badly a wrong answer would hurt."""

from dataclasses import dataclass
from typing import Literal

from course_lib.noise import NoiseStructure

__all__ = ["Noise", "Recommendation", "recommend"]

Noise = Literal["photons", "camera", "structured", "unknown"]
HIGH_SNR = 30.0
"""From this signal-to-noise ratio on, the noise is so small that restoring is not worth its risk."""


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """What to begin with.

    Attributes
    ----------
    method : {"another file", "nothing", "structured blind spots", "deconvolution", "photon splitting", "blind spots"}
        Stable names.
    reason : str
        Why, in a sentence or two.
    command : str
        What to type; empty where there is nothing to run.
    """

    method: str
    reason: str
    command: str = ""

    def __str__(self) -> str:
        """Give all in one line."""
        return f"{self.method}: {self.reason}{f' Run: {self.command}' if self.command else ''}"


def recommend(
    *,
    noise: Noise,
    structure: NoiseStructure | None,
    snr: float | None,
    is_image: bool,
    is_raw: bool,
    can_deconvolve: bool,
    camera_flags: str,
    file: str,
) -> Recommendation:
    """Return the method for one channel.

    Parameters
    ----------
    noise : {"photons", "camera", "structured", "unknown"}
        Photon counts; a camera's values of known gain; values whose neighbours share noise; anything else.
    structure : NoiseStructure or None
        The autocorrelation, where it could be measured.
    snr : float or None
        Of the brightest areas.
    is_image : bool
        Whether the pixels differ at all, are finite, and are no labels.
    is_raw : bool
        Whether nothing says that the values were changed after the recording.
    can_deconvolve : bool
        Whether this is a stack that is sampled finely enough, by a microscope that is known.
    camera_flags : str
        Gain and offset as flags, where they were measured.
    file : str
        Its name for the commands, with the flag of the channel if there are several.

    Examples
    --------
    >>> print(recommend(noise="photons", structure=None, snr=3.0, is_image=True, is_raw=True,
    ...                 can_deconvolve=False, camera_flags="", file="cells.tif").command)
    course denoise cells.tif
    """
    if not is_image:
        return Recommendation(
            method="another file", reason="Constant values, labels, and pixels that are no numbers cannot be restored."
        )
    if noise == "structured" and structure is not None:
        return Recommendation(
            method="structured blind spots",
            reason=f"Neighbouring pixels share noise (ρ = {structure.at(1, 0):+.2f} down, {structure.at(0, 1):+.2f} "
            f"right), which plain Noise2Void would learn as signal. structN2V hides the neighbours, too; course "
            f"denoise measures how far.",
            command=f"course denoise {file}",
        )
    if can_deconvolve and noise in ("photons", "camera"):
        return Recommendation(
            method="deconvolution",
            reason="A finely sampled stack of a known microscope, with known photon noise: deconvolution takes blur "
            "and noise off together, and stops by held-out photons.",
            command=f"course deconvolve {file} --model gibson-lanni --numerical-aperture NA --emission-wavelength-nm "
            f"NM{' --photons' if noise == 'photons' else camera_flags}",
        )
    if snr is not None and snr >= HIGH_SNR and is_raw:
        return Recommendation(
            method="nothing",
            reason=f"Where it is bright, the noise is {1 / snr:.1%} of the signal. Segment and measure the raw image; "
            f"restoring could only take detail away.",
            command=f"course segment {file} --diameter-um D",
        )
    if noise in ("photons", "camera"):
        return Recommendation(
            method="photon splitting",
            reason="White noise of known photons: a network learns from photons that are split at random, and photons "
            "held out judge it against plain filters, one of which may win.",
            command=f"course denoise {file}{camera_flags if noise == 'camera' else ''}",
        )
    return Recommendation(
        method="blind spots",
        reason="The number of photons is not known, so that they cannot be split. Hidden pixels judge Noise2Void "
        "against a Gaussian blur. A raw image, or gain and offset, would allow more.",
        command=f"course denoise {file}",
    )
