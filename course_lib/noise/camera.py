r"""A camera: from photons that reach a pixel to the number that the file holds.

.. math::

   e   &= \mathrm{Poisson}(\mathrm{QE}\cdot\rho\cdot N + d\,t + c)\quad\text{clipped at the full well} \\
   m   &= \mathrm{Gamma}(e,\, G) \quad\text{with EM gain } G > 1, \text{ otherwise } m = e \\
   \mathrm{ADU} &= \mathrm{clip}\Bigl(\mathrm{round}\Bigl(\frac{m + \mathcal N(0, R^2)}{g} + o
       + \text{row} + \text{checker}\Bigr),\ 0,\ 2^{\text{bits}} - 1\Bigr)

with photons :math:`N`, quantum efficiency QE, relative response of the pixel :math:`\rho` (PRNU), dark
current :math:`d`, exposure :math:`t`, clock-induced charge :math:`c`, read noise :math:`R`, gain :math:`g`
in electrons per ADU and offset :math:`o`. Response, gain, offset, read noise and dark current may each be
one number or a map with one value a pixel, as in an sCMOS camera.

References
----------
J. R. Janesick, *Photon Transfer*, SPIE Press 2007.
EMVA Standard 1288, *Characterization of Image Sensors and Cameras*.
M. S. Robbins, B. J. Hadwen, IEEE Trans. Electron Devices 50 (2003) 1227 (EM gain).
F. Huang et al., Nature Methods 10 (2013) 653 (sCMOS maps).
"""

import math

import torch

from course_lib.axes import check_spatial
from course_lib.parameters import ParameterError, Parameters, parameter
from course_lib.seeding import generator

__all__ = ["Camera", "digitize"]

PerPixel = float | torch.Tensor
"""One number for all pixels, or a map of shape (Y, X)."""


def digitize(
    electrons: torch.Tensor,
    *,
    gain_e_per_adu: PerPixel,
    offset_adu: PerPixel,
    bit_depth: int,
) -> torch.Tensor:
    """Convert electrons at the output node to ADU: scale, add the offset, round, clip to the ADC's range.

    Parameters
    ----------
    electrons : torch.Tensor
        Electrons, read noise included; shape (..., Y, X).
    gain_e_per_adu, offset_adu : float or torch.Tensor
        Conversion, for all pixels or for each.
    bit_depth : int
        Bits of the ADC; the largest value is ``2**bit_depth - 1``.

    Returns
    -------
    torch.Tensor
        Whole numbers as float32.

    Examples
    --------
    >>> digitize(torch.tensor([0.0, 10.0, 1e9]), gain_e_per_adu=0.5, offset_adu=100, bit_depth=12)
    tensor([ 100.,  120., 4095.])
    """
    adu = torch.round(electrons / gain_e_per_adu + offset_adu).clamp(0, 2**bit_depth - 1)
    return adu.float()


class Camera(Parameters):
    """A camera with all its sources of noise; the defaults are those of a common sCMOS camera.

    Attributes
    ----------
    quantum_efficiency : float
        Share of the photons that free an electron.
    pixel_response : float or torch.Tensor
        Response of each pixel relative to the mean (PRNU), see `course_lib.noise.pixel_response_map`.
    dark_current_e_per_s : float or torch.Tensor
        Thermal electrons per second.
    clock_induced_charge_e : float
        Spurious electrons per pixel and frame (EMCCD).
    full_well_e : float
        Largest charge of a pixel, before any EM gain.
    em_gain : float
        Mean multiplication of the EM register; 1 means that there is none. The exponential model of the
        register holds for gains of about 20 and more, where the excess noise factor F² is 2.
    read_noise_e : float or torch.Tensor
        Standard deviation of the read-out, in electrons at the output node.
    gain_e_per_adu : float or torch.Tensor
        Electrons (after any EM gain) per ADU.
    offset_adu : float or torch.Tensor
        Value of a pixel without any charge.
    row_noise_adu : float
        Standard deviation of an offset that all pixels of a row share in one frame.
    checker_adu : float
        Amplitude of a fixed pattern that alternates from pixel to pixel.
    bit_depth : int
        Bits of the ADC.

    Examples
    --------
    >>> camera = Camera(read_noise_e=1.6, quantum_efficiency=0.8)
    >>> photons = torch.full((256, 256), 50.0)
    >>> adu = camera.capture(photons, rng=0)
    >>> round(float(camera.to_photons(adu).mean()))
    50
    """

    quantum_efficiency: float = parameter(
        default=0.82,
        meaning="share of the photons that free an electron",
        minimum=0.0,
        maximum=1.0,
        slider=(0.1, 1.0),
    )
    pixel_response: PerPixel = parameter(
        per_pixel=True, default=1.0, meaning="response of the pixel relative to the mean (PRNU)", minimum=0.0
    )
    dark_current_e_per_s: PerPixel = parameter(
        per_pixel=True, default=0.06, meaning="dark current", unit="e⁻/s", minimum=0.0, slider=(0.0, 10.0)
    )
    clock_induced_charge_e: float = parameter(
        default=0.0, meaning="clock-induced charge", unit="e⁻", minimum=0.0, slider=(0.0, 0.1)
    )
    full_well_e: float = parameter(default=30_000.0, meaning="full well", unit="e⁻", minimum=1.0)
    em_gain: float = parameter(default=1.0, meaning="EM gain; 1 means none", minimum=1.0)
    read_noise_e: PerPixel = parameter(
        per_pixel=True,
        default=1.6,
        meaning="read noise, standard deviation",
        unit="e⁻",
        minimum=0.0,
        slider=(0.0, 20.0),
    )
    gain_e_per_adu: PerPixel = parameter(per_pixel=True, default=0.46, meaning="gain", unit="e⁻/ADU", minimum=1e-6)
    offset_adu: PerPixel = parameter(per_pixel=True, default=100.0, meaning="offset", unit="ADU", minimum=0.0)
    row_noise_adu: float = parameter(
        default=0.0, meaning="row noise, standard deviation", unit="ADU", minimum=0.0, slider=(0.0, 20.0)
    )
    checker_adu: float = parameter(
        default=0.0, meaning="checker pattern, amplitude", unit="ADU", minimum=0.0, slider=(0.0, 20.0)
    )
    bit_depth: int = parameter(default=16, meaning="bits of the ADC", unit="bit", minimum=1, maximum=16)

    @property
    def excess_noise_factor(self) -> float:
        """F², the factor by which the EM register multiplies the variance: 2 with EM gain, 1 without."""
        return 2.0 if self.em_gain > 1 else 1.0

    def capture(
        self,
        photons: torch.Tensor,
        *,
        exposure_ms: float = 100.0,
        rng: int | torch.Generator | None = None,
    ) -> torch.Tensor:
        """Record one frame for each image of the batch.

        Parameters
        ----------
        photons : torch.Tensor
            Mean photons that reach each pixel during the exposure, shape (..., Y, X).
        exposure_ms : float
            Exposure, for the dark current.
        rng : int, torch.Generator or None
            Randomness; see `course_lib.seeding.generator`.

        Returns
        -------
        torch.Tensor
            ADU, whole numbers as float32, same shape and device as `photons`.

        Raises
        ------
        ValueError
            If `photons` has negative, NaN or infinite values, too few axes, or does not fit the maps.
        """
        rate = self.electrons(photons, exposure_ms=exposure_ms)
        draw = generator(rng, photons.device)
        overflow = self.full_well_e + 20 * self.full_well_e**0.5 + 100  # far beyond the well all counts are alike
        charge = torch.poisson(rate.clamp(max=overflow), generator=draw).clamp(max=self.full_well_e)
        if self.em_gain > 1:
            charge = self.em_gain * torch._standard_gamma(charge, generator=draw)
        charge += self.read_noise_e * torch.randn(rate.shape, generator=draw, device=rate.device)
        row = torch.randn((*rate.shape[:-1], 1), generator=draw, device=rate.device) * self.row_noise_adu
        return digitize(
            charge,
            gain_e_per_adu=self.gain_e_per_adu,
            offset_adu=self.offset_adu + row + self._checker(rate),
            bit_depth=self.bit_depth,
        )

    def electrons(self, photons: torch.Tensor, *, exposure_ms: float = 100.0) -> torch.Tensor:
        """Return the mean charge of each pixel before any noise, shape (..., Y, X), in electrons."""
        check_spatial(photons, 2, name="photons")
        if float(photons.detach().min()) < 0:
            raise ValueError(
                f"photons has a value of {float(photons.detach().min()):g}, but a mean is at least 0 photons: "
                f"subtract no more than the background, or clamp at 0."
            )
        if not 0 <= exposure_ms < math.inf:
            raise ValueError(f"exposure_ms is {exposure_ms:g} ms, but must be at least 0 ms and finite.")
        self._check_maps(photons)
        dark = self.dark_current_e_per_s * exposure_ms / 1000 + self.clock_induced_charge_e
        return photons * (self.quantum_efficiency * self.pixel_response) + dark

    def expected(self, photons: torch.Tensor, *, exposure_ms: float = 100.0) -> tuple[torch.Tensor, torch.Tensor]:
        r"""Return mean and variance of each pixel over many frames, in ADU and ADU².

        .. math:: \mu = G e/g + o, \qquad \sigma^2 = (F^2 G^2 e + R^2)/g^2 + \sigma_\text{row}^2 + 1/12

        The 1/12 is the variance of rounding. Saturation and the full well are left out.

        Examples
        --------
        >>> mean, variance = Camera(dark_current_e_per_s=0).expected(torch.full((1, 1), 100.0))
        >>> round(float(mean), 1), round(float(variance), 1)
        (278.3, 399.7)
        """
        charge = self.electrons(photons, exposure_ms=exposure_ms)
        mean = self.em_gain * charge / self.gain_e_per_adu + self.offset_adu + self._checker(charge)
        amplified = self.excess_noise_factor * self.em_gain**2 * charge
        variance = (amplified + self.read_noise_e**2) / self.gain_e_per_adu**2 + self.row_noise_adu**2 + 1 / 12
        return mean, variance

    def to_photons(self, adu: torch.Tensor, *, exposure_ms: float = 100.0) -> torch.Tensor:
        """Estimate the photons that reached each pixel: as noisy as the image, negative at times.

        Unbiased wherever the camera clipped nothing: below saturation, and with an offset of several read noises.

        Parameters
        ----------
        adu : torch.Tensor
            Recorded image, shape (..., Y, X).
        exposure_ms : float
            Its exposure, for the dark current.

        Returns
        -------
        torch.Tensor
            Photons. Do not clip the negative values: that would bias every dark pixel upwards.

        Raises
        ------
        ValueError
            If some pixel cannot be inverted, because its response or the quantum efficiency is 0.
        """
        check_spatial(adu, 2, name="adu")
        self._check_maps(adu)
        response = torch.as_tensor(self.quantum_efficiency * self.pixel_response)
        if float(response.min()) == 0:
            raise ValueError(
                "quantum_efficiency · pixel_response is 0 in some pixel, which cannot be inverted: "
                "give dead pixels a response above 0 and mask them afterwards."
            )
        dark = self.dark_current_e_per_s * exposure_ms / 1000 + self.clock_induced_charge_e
        return (self.to_electrons(adu) - dark) / response.to(adu.device)

    def to_electrons(self, adu: torch.Tensor) -> torch.Tensor:
        """Estimate the electrons of each pixel, dark ones included: the counts whose variance is their mean.

        Examples
        --------
        >>> Camera(gain_e_per_adu=0.5, offset_adu=100.0).to_electrons(torch.full((1, 1), 300.0))
        tensor([[100.]])
        """
        check_spatial(adu, 2, name="adu")
        self._check_maps(adu)
        return (adu - self.offset_adu - self._checker(adu)) * self.gain_e_per_adu / self.em_gain

    def __post_init__(self) -> None:
        """Check each value, and that the model of the EM register holds."""
        super().__post_init__()
        if 1 < self.em_gain < 20:
            raise ParameterError(
                f"em_gain is {self.em_gain:g}, but must be 1 (none) or at least 20: between them the exponential "
                f"model of the register overstates its noise."
            )

    def _checker(self, image: torch.Tensor) -> PerPixel:
        if self.checker_adu == 0:
            return 0.0
        rows = torch.arange(image.shape[-2], device=image.device)[:, None]
        columns = torch.arange(image.shape[-1], device=image.device)
        return self.checker_adu * (1 - 2 * ((rows + columns) % 2)).to(image.dtype)

    def _check_maps(self, image: torch.Tensor) -> None:
        pixels = image.shape[-2:]
        for declared in self.declared():
            value = getattr(self, declared.name)
            if isinstance(value, torch.Tensor) and value.ndim and value.shape != pixels:
                raise ValueError(
                    f"{declared.name} is a map of shape {tuple(value.shape)}, but the image has "
                    f"{tuple(pixels)}: "
                    f"crop the map to the region of the sensor that the image shows."
                )
