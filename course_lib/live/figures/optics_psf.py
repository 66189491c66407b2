"""The microscope: what aperture, colour, immersion, focus and pixels make of a star whose truth is known."""

import math

import torch

from course_lib import optics, samples
from course_lib.live import Curve, CurvePanel, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.parameters import Parameters, parameter

FIELD_UM, SIDE = 12.8, 256
"""Side of the star's image, drawn with SIDE × SIDE points whatever the camera's pixels are."""
PSF_PIXEL_UM, PSF_REACH = 0.04, 48
"""Fine pixel of the PSF, and pixels from its centre to its edge."""
HIGHEST_PER_UM, TABLE = 8.0, 512
"""The OTF is computed at TABLE frequencies up to one that no objective passes."""
INNER_UM = 4.0
"""Radius within which the stretched grey scale reaches from the darkest point to the brightest."""
STEEPEST = 0.98
"""Largest NA/n that is shown: at 1 the cone of light would be a half space."""


class Sliders(Parameters):
    """What the reader can change."""

    numerical_aperture: float = parameter(
        default=1.4, meaning="numerical aperture NA", minimum=0.1, slider=(0.2, 1.45), step=0.05
    )
    wavelength_nm: float = parameter(
        default=525.0, meaning="emission wavelength λ", unit="nm", minimum=300.0, slider=(400.0, 700.0), step=5.0
    )
    immersion_index: float = parameter(
        default=1.515, meaning="refractive index n of the immersion", minimum=1.0, slider=(1.0, 1.52), step=0.005
    )
    defocus_um: float = parameter(default=0.0, meaning="defocus z", unit="µm", slider=(-2.0, 2.0), step=0.05)
    pixel_nm: float = parameter(
        default=100.0, meaning="pixel Δ on the sample", unit="nm", minimum=1.0, slider=(40.0, 400.0), step=5.0
    )


def star(side: int) -> torch.Tensor:
    """Return the object in the field's `side` × `side` points: 24 spokes, at the rim 1.6 µm from one to the next."""
    return samples.siemens_star((side, side), voxel_size_um=(FIELD_UM / side,) * 2, diameter_um=12.0, spokes=24)


def frequencies_per_um() -> torch.Tensor:
    """Return the frequencies of waves that fit the field."""
    return torch.arange(int(HIGHEST_PER_UM * FIELD_UM)) / FIELD_UM


def places_um(side: int) -> torch.Tensor:
    """Return the middles of `side` points that divide the field, from its centre."""
    return (torch.arange(side) + 0.5 - side / 2) * (FIELD_UM / side)


def spectrum() -> torch.Tensor:
    """Return the star as amplitudes of cosines in y and x; it is even in both, and so has no sines."""
    side, frequencies = 2 * SIDE, frequencies_per_um()
    waves = torch.cos(2 * math.pi * frequencies[:, None] * places_um(side))
    norm = (1 + (frequencies > 0)) / side / torch.sinc(frequencies * FIELD_UM / side)
    return norm[:, None] * (waves @ star(side) @ waves.T) * norm


def table_places() -> torch.Tensor:
    """Return where in the table of the OTF each pair of frequencies, in y and x, is found."""
    frequencies = frequencies_per_um()
    radius = torch.sqrt(frequencies[:, None] ** 2 + frequencies**2)
    return (radius / HIGHEST_PER_UM * (TABLE - 1)).clamp(max=TABLE - 1.001)


def pupil_nodes(nodes: int) -> torch.Tensor:
    """Return y, x and weight of a pupil as one tensor."""
    pupil = optics.make_pupil(nodes)
    return torch.stack([pupil.y.expand_as(pupil.x), pupil.x, pupil.weight]).float()


def intensity(
    nodes: torch.Tensor, y_um: torch.Tensor, x_um: torch.Tensor, z_um: torch.Tensor, light: Tensors
) -> torch.Tensor:
    """Return |E|² at (z, y, x)."""
    real, imaginary = optics.focal_field(
        optics.Pupil(nodes[0, :, :1], nodes[1], nodes[2]), torch.zeros(1), y_um=y_um, x_um=x_um, z_um=z_um, **light
    )
    return real**2 + imaginary**2


def half_width(profile: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Return twice the place where a profile, which falls all along, crosses one half of its first value."""
    above = profile - profile[0] / 2
    return 2 * step * (above[:-1] / (above[:-1] - above[1:])).clamp(0, 1).sum()


def image_microscope(sliders: Tensors, _draws: Tensors, assets: Tensors) -> Tensors:
    """Compute PSF and OTF of the pupil, blur the star, and integrate it over the camera's pixels."""
    limit, asked = STEEPEST * sliders["immersion_index"], sliders["numerical_aperture"]
    aperture = (limit + asked - torch.sqrt((limit - asked) ** 2 + 1e-4)) / 2  # the smaller of the two, rounded off
    wavelength_um, pixel_um = sliders["wavelength_nm"] / 1000, sliders["pixel_nm"] / 1000
    light = {"numerical_aperture": aperture, "wavelength_um": wavelength_um, "index": sliders["immersion_index"]}
    zero = torch.zeros(1)

    quarter_um = torch.arange(PSF_REACH + 1) * PSF_PIXEL_UM
    quarter = intensity(assets["fine_pupil"], quarter_um, quarter_um, sliders["defocus_um"].reshape(1), light)[0]
    half = torch.cat([quarter[1:].flip(0), quarter])
    psf = torch.cat([half[:, 1:].flip(1), half], dim=1)

    share = torch.linspace(0, 0.4, 65)
    across = share * wavelength_um / aperture
    along = 1.5 * share * wavelength_um / (light["index"] - torch.sqrt(light["index"] ** 2 - aperture**2))
    profile_x = intensity(assets["pupil"], zero, across, zero, light)[0, 0]
    profile_z = intensity(assets["pupil"], zero, zero, along, light)[:, 0, 0]

    frequency = torch.linspace(0, HIGHEST_PER_UM, TABLE)
    otf = optics.pupil_otf(frequency, nodes=18, defocus_um=sliders["defocus_um"], **light)
    below = torch.floor(assets["table_places"])
    between = assets["table_places"] - below
    transfer = (1 - between) * otf[below.long()] + between * otf[below.long() + 1]
    blurred = transfer * assets["spectrum"]

    def at(waves: torch.Tensor) -> torch.Tensor:
        return waves.T @ blurred @ waves

    def pixel_otf(frequencies: torch.Tensor) -> torch.Tensor:
        angle = math.pi * (frequencies * pixel_um).clamp(min=1e-6)
        return torch.sin(angle) / angle

    places = places_um(SIDE)
    middles = (torch.floor(places / pixel_um) + 0.5) * pixel_um  # of the pixel that covers each place
    wavenumbers = 2 * math.pi * assets["frequencies"][:, None]
    cutoff, nyquist = 2 * aperture / wavelength_um, 0.5 / pixel_um
    image = at(torch.cos(wavenumbers * places))
    inner = (places[:, None] ** 2 + places**2 < INNER_UM**2).float()
    darkest, brightest = (1 - (1 - image) * inner).min(), (image * inner).max()
    middle, contrast = (brightest + darkest) / 2, ((brightest - darkest) / 2).clamp(min=0.05)
    return {
        "psf": psf / psf.max(),
        "star": assets["star"],
        "blurred": image,
        "camera": at(torch.cos(wavenumbers * middles) * pixel_otf(assets["frequencies"])[:, None]),
        "black": middle - contrast,
        "white": middle + contrast,
        "frequency": frequency,
        "otf": otf,
        "otf_pixel": otf * pixel_otf(frequency),
        "cutoff": cutoff.expand(2),
        "nyquist": nyquist.expand(2),
        "bar": torch.linspace(-0.3, 0.55, 2),
        "aperture": aperture,
        "lowered": asked - aperture,
        "fwhm_um": half_width(profile_x, across[1]),
        "rayleigh_um": 0.6098 * wavelength_um / aperture,
        "length_um": half_width(profile_z, along[1]),
        "nyquist_nm": 500 / cutoff,
        "undersampled": cutoff / nyquist,
    }


FIGURE = LiveFigure(
    name="optics_psf",
    title="From the objective's aperture to the camera's pixels",
    caption=(
        "A point becomes the PSF; the OTF tells what share of the contrast of each fineness is left. A star of known "
        "spokes, finer towards its centre, shows what that means: first as it reaches the camera, then in pixels. "
        "Lower the NA and watch the grey disc grow; go out of focus until bright and dark spokes change places; "
        "enlarge the pixels past Nyquist's limit until patterns appear that the object does not have."
    ),
    alt=(
        "A small bright spot, the point-spread function; the optical transfer function falling to zero at the cut-off "
        "frequency; a star of 24 bright spokes, the same star blurred so that its centre is grey, and as the camera "
        "records it in square pixels; read-outs of widths and of the pixel that Nyquist asks for."
    ),
    sliders=Sliders,
    function=image_microscope,
    panels=(
        ImagePanel(
            output="psf",
            title="PSF: the image of a point",
            unit="relative",
            pixel_size_um=PSF_PIXEL_UM,
            value_range=(0.0, 1.0),
            color_map="inferno",
        ),
        CurvePanel(
            title="OTF: what is left of each frequency",
            x="frequency",
            curves=(
                Curve(output="otf", label="objective"),
                Curve(output="otf_pixel", label="… and pixel", style="dashed"),
                Curve(output="bar", x="cutoff", label="cut-off 2NA/λ", style="dotted"),
                Curve(output="bar", x="nyquist", label="camera's Nyquist 1/(2Δ)", style="dashed"),
            ),
            x_label="frequency (periods per µm)",
            y_label="contrast left",
            x_range=(0.0, HIGHEST_PER_UM),
            y_range=(-0.3, 1.05),
        ),
        ImagePanel(
            output="star",
            title="The object",
            unit="relative",
            pixel_size_um=FIELD_UM / SIDE,
            value_range=(0.0, 1.0),
        ),
        ImagePanel(
            output="blurred",
            title="Its image by the objective",
            unit="relative",
            pixel_size_um=FIELD_UM / SIDE,
            value_range=(0.0, 1.0),
        ),
        ImagePanel(
            output="camera",
            title="… in pixels, contrast stretched",
            unit="relative",
            pixel_size_um=FIELD_UM / SIDE,
            value_range=("black", "white"),
        ),
        NumberPanel(
            numbers=(
                Number(output="aperture", label="NA used (at most 0.98 n)", digits=2),
                Number(output="lowered", label="… lowered by", digits=2),
                Number(output="fwhm_um", label="FWHM across, in focus", unit="µm", digits=3),
                Number(output="rayleigh_um", label="Rayleigh, 0.61 λ/NA", unit="µm", digits=3),
                Number(output="length_um", label="FWHM along the axis", unit="µm", digits=3),
                Number(output="nyquist_nm", label="Nyquist's pixel λ/4NA", unit="nm", digits=0),
                Number(output="undersampled", label="pixel ÷ Nyquist's pixel", digits=2),
            ),
        ),
    ),
    assets={
        "star": lambda: star(SIDE),
        "spectrum": spectrum,
        "frequencies": frequencies_per_um,
        "table_places": table_places,
        "pupil": lambda: pupil_nodes(24),
        "fine_pupil": lambda: pupil_nodes(64),
    },
)
