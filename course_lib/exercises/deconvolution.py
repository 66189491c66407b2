"""The exercises of the chapter *Deconvolution*.

The cells of the book read::

    def wiener(image, psf, noise_to_signal):
        # psf is as large as the image, its centre at size // 2; light that leaves on one side enters on the other
        ...  # your lines: return the restored image

    exercises.wiener.check(wiener)

    def step(estimate, image, blur, background):
        # estimate and image are (3, Y, X), background (3, 1, 1): three tiles; blur(x) is Hx, blur.adjoint(y) is Hᵀy
        ...  # your lines: return the next estimate

    exercises.richardson_lucy_step.check(step)

    def stop(counts, psf, most_iterations):
        # of deconvolution.richardson_lucy(counts, psf, iterations=...)
        ...  # your lines: return the number of iterations

    exercises.stop_blind.check(stop)

    def diagnose(image, restorations, residuals):
        # image is (Z, Y, X), beads in the middle plane; the others (4, Z, Y, X): one restoration a PSF
        ...  # your lines: return four places, 0 to 3: of the right PSF, wrong index, too low NA, one voxel shifted

    exercises.diagnose_psf.check(diagnose)
"""

import functools
import math
from collections.abc import Callable

import torch

from course_lib import deconvolution, noise, optics, samples
from course_lib.exercises.exercise import Case, Exercise, Mistake

__all__ = ["diagnose_psf", "richardson_lucy_step", "stop_blind", "wiener"]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def _log_uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low * math.exp(_uniform(rng, 0, math.log(high / low)))


def _spot(shape: tuple[int, int], *, y: float, x: float, sigma: float) -> torch.Tensor:
    """Return a Gaussian spot in float64 at `y`, `x` pixels from the centre, size // 2."""
    row, column = (torch.arange(side, dtype=torch.float64) - side // 2 for side in shape)
    return torch.exp(-((row[:, None] - y) ** 2 + (column - x) ** 2) / (2 * sigma**2))


def _comet(shape: tuple[int, int], rng: torch.Generator) -> torch.Tensor:
    """Return a PSF with a tail to one side, as coma makes it, so that it differs from itself turned round."""
    core = _spot(shape, y=0, x=0, sigma=_uniform(rng, 0.9, 1.2))
    tail = _spot(shape, y=_uniform(rng, 1.5, 2.5), x=_uniform(rng, 2.5, 3.5), sigma=_uniform(rng, 1.2, 1.6))
    psf = core + _uniform(rng, 0.4, 0.6) * tail
    return psf / psf.sum()


# the Wiener filter --------------------------------------------------------------------------------------


def _draw_blurred(rng: torch.Generator) -> Case:
    """Return a few points and a disc, blurred on a torus of odd sides, with a little noise; all float64."""
    shape = (45, 51)
    psf = _comet(shape, rng)
    truth = 300 * (_spot(shape, y=-8, x=_uniform(rng, -12, 12), sigma=6) > 0.5).double()
    rows, columns = (torch.randint(0, side, (12,), generator=rng) for side in shape)
    truth[rows, columns] += 2000.0
    image = _filtered(truth, _transfer(psf)) + 2 * torch.randn(shape, generator=rng, dtype=torch.float64)
    noise_to_signal = _log_uniform(rng, 0.003, 0.03)
    return Case((image, psf, noise_to_signal), _wiener(image, psf, noise_to_signal))


def _transform(values: torch.Tensor) -> torch.Tensor:
    spectrum: torch.Tensor = torch.fft.fft2(values)
    return spectrum


def _transfer(psf: torch.Tensor) -> torch.Tensor:
    return _transform(torch.fft.ifftshift(psf))


def _filtered(image: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    filtered: torch.Tensor = torch.fft.ifft2(factors * torch.fft.fft2(image))
    return filtered.real


def _wiener_filter(transfer: torch.Tensor, noise_to_signal: float) -> torch.Tensor:
    return transfer.conj() / (transfer.abs() ** 2 + noise_to_signal)


def _wiener(image: torch.Tensor, psf: torch.Tensor, noise_to_signal: float) -> torch.Tensor:
    return _filtered(image, _wiener_filter(_transfer(psf), noise_to_signal))


def _spectrum_of_the_restored(image: torch.Tensor, psf: torch.Tensor, noise_to_signal: float) -> torch.Tensor:
    return _wiener_filter(_transfer(psf), noise_to_signal) * _transform(image)


def _without_the_way_back(image: torch.Tensor, psf: torch.Tensor, noise_to_signal: float) -> torch.Tensor:
    return _spectrum_of_the_restored(image, psf, noise_to_signal).real


def _of_a_shifted_spectrum(image: torch.Tensor, psf: torch.Tensor, noise_to_signal: float) -> torch.Tensor:
    return _filtered(image, _wiener_filter(torch.fft.fftshift(_transfer(psf)), noise_to_signal))


def _of_two_shifted_spectra(image: torch.Tensor, psf: torch.Tensor, noise_to_signal: float) -> torch.Tensor:
    spectrum = _wiener_filter(_transfer(psf), noise_to_signal) * torch.fft.fft2(image)
    restored: torch.Tensor = torch.fft.ifft2(torch.fft.fftshift(spectrum))
    return restored.real


def _half_spectra_of_even_width(image: torch.Tensor, psf: torch.Tensor, noise_to_signal: float) -> torch.Tensor:
    transfer = torch.fft.rfft2(torch.fft.ifftshift(psf))
    restored: torch.Tensor = torch.fft.irfft2(_wiener_filter(transfer, noise_to_signal) * torch.fft.rfft2(image))
    return restored


wiener = Exercise(
    draw=_draw_blurred,
    solution=_wiener,
    mistakes=(
        Mistake(
            lambda image, psf, ratio: _filtered(image, _transfer(psf) / (_transfer(psf) ** 2 + ratio)),
            "You wrote H/(H² + λ), which is right only where H is real: for a symmetric PSF. This one has a tail, so "
            "that H is complex. Take H*/(|H|² + λ), with `H.conj()` and `H.abs() ** 2`.",
        ),
        Mistake(
            lambda image, psf, ratio: _filtered(image, _transfer(psf) / (_transfer(psf).abs() ** 2 + ratio)),
            "The denominator is right, but above it stands H instead of its conjugate H*. So the tail of the PSF is "
            "not undone but made twice as long. Take `H.conj()`.",
        ),
        Mistake(
            lambda image, psf, ratio: _filtered(image, _transfer(psf).conj() / (_transfer(psf) ** 2 + ratio)),
            "H* is right, but below it stands H², which is complex as H is. Take |H|², `H.abs() ** 2`: it is real and "
            "at least 0, so that with λ it is never near 0.",
        ),
        Mistake(
            lambda image, psf, ratio: _filtered(image, _transfer(psf).abs() / (_transfer(psf).abs() ** 2 + ratio)),
            "You took |H| where the conjugate H* belongs. That undoes how much each wave was weakened, but not how far "
            "it was moved: the tail stays. Take `H.conj()`.",
        ),
        Mistake(
            lambda image, psf, ratio: _filtered(image, 1 / _transfer(psf)),
            "That is the naive inverse, 1/H: where H is small, noise becomes huge. The ratio of noise to signal must "
            "come in: H*/(|H|² + λ).",
        ),
        Mistake(
            lambda image, psf, ratio: _filtered(image, 1 / (_transfer(psf).abs() ** 2 + ratio)),
            "You divided by |H|² + λ, but nothing stands above it. H* belongs there, `H.conj()`: it takes back how far "
            "each wave was moved, and leaves out those that the blur did not let pass.",
        ),
        Mistake(
            lambda image, psf, ratio: _filtered(image, 1 / (_transfer(psf) + ratio)),
            "1/(H + λ) is finite, but it divides by nearly 0 where H is near -λ, and does not weigh noise against "
            "signal. Take H*/(|H|² + λ).",
        ),
        Mistake(
            lambda image, psf, ratio: _filtered(image, _transfer(psf).conj() / (_transfer(psf).abs() + ratio)),
            "You divided by |H| + λ. The power |H|² belongs there, `H.abs() ** 2`, for λ is a ratio of powers.",
        ),
        Mistake(
            lambda image, psf, ratio: _filtered(image, _transfer(psf).conj()),
            "H* alone blurs the image a second time, turned round: that is Hᵀy. Divide by |H|² + λ.",
        ),
        Mistake(
            lambda image, psf, ratio: _wiener(image, psf, 1 / ratio),
            "You added 1/λ, the ratio of signal to noise. λ is `noise_to_signal` itself: the more noise, the larger, "
            "and the more it holds back.",
        ),
        Mistake(
            lambda image, psf, ratio: _wiener(image, psf, ratio**2),
            "You squared the ratio of noise to signal. It is already one of powers: add it as it is.",
        ),
        Mistake(
            lambda image, psf, ratio: _wiener(image, torch.fft.fftshift(torch.fft.fftshift(psf)), ratio),
            "The restored image is moved by one pixel: an odd side shows that `fftshift` took the place of "
            "`ifftshift`. The centre of the PSF, at size // 2, must come to index 0: `torch.fft.ifftshift(psf)`.",
        ),
        Mistake(
            lambda image, psf, ratio: _wiener(image, torch.fft.fftshift(psf), ratio),
            "The filter is right, but the image is moved by half its size: the PSF has its centre in the middle, and "
            "an FFT counts places from index 0. Bring it there: `torch.fft.ifftshift(psf)`.",
        ),
        Mistake(
            lambda *a: torch.fft.fftshift(_wiener(*a)),
            "The image is restored, and then an `fftshift` at the end has moved it by half its size. The PSF alone "
            "needs a shift, before its transform; the image never had its centre elsewhere.",
        ),
        Mistake(
            _of_a_shifted_spectrum,
            "Your spectrum of the PSF has frequency 0 in its middle, as after an `fftshift` for a picture, and that of "
            "the image has it at index 0. So each frequency gets the factor of another. Leave this shift out.",
        ),
        Mistake(
            lambda image, psf, ratio: _filtered(image, _wiener_filter(torch.fft.ifftshift(_transform(psf)), ratio)),
            "You shifted the spectrum, after the FFT. Shift the PSF itself, before its FFT: "
            "`torch.fft.fft2(torch.fft.ifftshift(psf))`. The spectrum has frequency 0 at index 0 already, as that of "
            "the image.",
        ),
        Mistake(
            _of_two_shifted_spectra,
            "The product is right, but it went back with frequency 0 in its middle: an `fftshift` was left in, and "
            "each pixel is multiplied by a fine grating. `ifft2` expects frequency 0 at index 0: undo the shift by "
            "`ifftshift`, or leave both out.",
        ),
        Mistake(
            _without_the_way_back,
            "That is the spectrum of the restored image, not yet the image. Transform it back: `torch.fft.ifft2`, "
            "and then `.real`.",
        ),
        Mistake(
            _spectrum_of_the_restored,
            "These complex numbers are the spectrum of the restored image, not yet the image. Transform it back: "
            "`torch.fft.ifft2`, and then `.real`.",
        ),
        Mistake(
            lambda image, psf, ratio: deconvolution.wiener(image, psf, noise_to_signal=ratio),
            "That is the filter of the library, `deconvolution.wiener` or `tikhonov`, which takes what lies beyond the "
            'border for unknown. Here the world is a ring, as for `boundary="circular"`. But write it yourself: '
            "`torch.fft.fft2`, H*/(|H|² + λ), and back.",
        ),
        *(
            Mistake(
                lambda image, psf, ratio, boundary=boundary: deconvolution.wiener(image, psf, boundary=boundary),
                f"That is `deconvolution.wiener` of the library with {boundary} borders, which estimates the ratio of "
                "noise to signal from the image, for each frequency. Here it is given, `noise_to_signal`. Write the "
                "filter yourself: `torch.fft.fft2`, H*/(|H|² + λ), and back.",
            )
            for boundary in ("linear", "circular")
        ),
        Mistake(
            _half_spectra_of_even_width,
            "The image has come back one pixel narrower. Half a spectrum does not tell whether the width was odd: "
            "`torch.fft.irfft2(..., s=image.shape)`.",
        ),
        Mistake(
            lambda *a: _wiener(*a).abs(),
            "You took the absolute value at the end, and dark places below 0 became bright. The result is real but for "
            "rounding: take `.real`.",
        ),
        Mistake(
            lambda *a: _wiener(*a).clamp(min=0),
            "You cut off what is below 0. That may look better, but it is no longer the Wiener filter, which is "
            "linear, and the mean becomes too bright. Leave it.",
        ),
    ),
    relative_tolerance=0.01,
    praise="Right, for a PSF with a tail: its places and its strengths are both undone, as far as the noise allows.",
)


# one step of Richardson-Lucy ----------------------------------------------------------------------------


def _draw_tiles(rng: torch.Generator) -> Case:
    """Return a tile of points on a background, one of less than a photon a pixel, and one without any; all float64."""
    shape = (32, 36)
    blur = deconvolution.Blur(_comet(shape, rng), shape, boundary="circular")
    bright = 2.0 + 200 * torch.rand(shape, generator=rng, dtype=torch.float64) ** 8
    behind = torch.tensor([_uniform(rng, 30, 60), 0.1, 0.0], dtype=torch.float64).reshape(3, 1, 1)
    counts = torch.poisson(blur(bright) + behind[0], generator=rng).clamp(min=1)
    dim = torch.poisson(torch.full(shape, 0.5, dtype=torch.float64), generator=rng)
    guess = 5 + 30 * torch.rand(shape, generator=rng, dtype=torch.float64)
    image = torch.stack([counts, dim, torch.zeros_like(dim)])
    estimate = torch.stack([guess, guess / 60, torch.zeros_like(guess)])
    arguments = (estimate, image, blur, behind)
    return Case(arguments, _step(*arguments))


def _share(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    return torch.where(denominator > 0, numerator / denominator, 0)


def _step(
    estimate: torch.Tensor, image: torch.Tensor, blur: deconvolution.Blur, background: torch.Tensor
) -> torch.Tensor:
    return estimate * blur.adjoint(_share(image, blur(estimate) + background))


def _step_of_kept_photons(
    divide: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    estimate: torch.Tensor,
    image: torch.Tensor,
    blur: deconvolution.Blur,
    background: torch.Tensor,
) -> torch.Tensor:
    """Return the step, then scaled to as many photons as the image has."""
    updated = _step(estimate, image, blur, background)
    return updated * divide(image.sum((-2, -1), keepdim=True), updated.sum((-2, -1), keepdim=True))


def _slips(answer: Callable[..., torch.Tensor], hint: str) -> tuple[Mistake, Mistake]:
    """Return the slip with a division that keeps 0/0 out, and with a plain one, which makes NaN in the dark tile."""
    dark = " Then mend the NaN, too: keep what you divide by above 0, as with `.clamp(min=1e-6)`."
    return (
        Mistake(functools.partial(answer, _share), hint),
        Mistake(functools.partial(answer, torch.divide), hint + dark),
    )


richardson_lucy_step = Exercise(
    draw=_draw_tiles,
    solution=_step,
    mistakes=(
        Mistake(
            lambda x, y, blur, b: x * blur.adjoint(y / (blur(x) + b)),
            "Right wherever there is light. But in the dark tile nothing was counted and nothing is expected: 0/0 is "
            "NaN, and with it every voxel is lost. Keep the expected photons above 0, as with `.clamp(min=1e-6)`.",
        ),
        Mistake(
            lambda x, y, blur, b: x * blur.adjoint(y / (blur(x) + b).clamp(min=1)),
            "Right where more than one photon is expected in a pixel. In the dim tile less than one is, and "
            "`clamp(min=1)` made it one: the estimate there comes out too small. The clamp is only to keep 0 out: "
            "take a far smaller number, such as 1e-6.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: x * blur(divide(y, blur(x) + b)),
            "The ratio must come back by the adjoint Hᵀ, the blur with its PSF turned round, and you blurred it "
            "forward. For a symmetric PSF nobody would notice; here the tail pulls the estimate along with every step. "
            "Use `blur.adjoint`.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: x * divide(y, blur(x) + b),
            "You multiplied by the ratio of each pixel alone. Each voxel has sent light to all pixels around it, and "
            "should hear from them all: `blur.adjoint(ratio)`.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: x * blur.adjoint(divide(y, blur(x))),
            "You forgot the background. The estimate has to explain these photons, too: its sum becomes that of the "
            "whole image, haze included. Expect `blur(estimate) + background`.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: x * blur.adjoint(divide(y - b, blur(x))),
            "You subtracted the background from the image. What is left is not Poisson and may be negative. Add it to "
            "what is expected: `blur(estimate) + background`.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: x * blur.adjoint(divide(y - b, blur(x) + b)),
            "The background is in it twice: subtracted from the image and added to what is expected. Leave the image "
            "as it was counted.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: blur.adjoint(divide(y, blur(x) + b)),
            "That is the correction, a factor near 1 for each voxel. Multiply the estimate by it.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: x + blur.adjoint(divide(y, blur(x) + b)),
            "You added the correction, but it is a factor: multiply the estimate by it, and it can never be negative.",
        ),
        Mistake(
            lambda x, y, blur, b: x + blur.adjoint(y - blur(x) - b),
            "That is a step of Landweber: it adds the residual, as for noise that is everywhere the same. For photons "
            "take the ratio of counted to expected, and multiply.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: x * blur.adjoint(divide(blur(x) + b, y)),
            "The ratio is upside down: where more was counted than expected, the estimate must grow. Divide counted by "
            "expected.",
        ),
        Mistake(
            lambda x, y, blur, b: x * blur.adjoint((blur(x) + b) / y.clamp(min=1e-6)),
            "The ratio is upside down. Divide counted by expected, and keep the expected photons above 0, not the "
            "counted ones: a count of 0 does no harm above the line.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: x * divide(blur.adjoint(y), blur.adjoint(blur(x) + b)),
            "You divided Hᵀy by Hᵀ(Hx + b). That is another method, for noise that is everywhere the same. Divide "
            "first, pixel by pixel, then bring the ratio back with Hᵀ.",
        ),
        *_slips(
            lambda divide, x, y, blur, b: x * blur.adjoint(divide(y, x + b)),
            "You compared the image with the estimate itself, but the camera sees it blurred: divide by "
            "`blur(estimate) + background`.",
        ),
        *_slips(
            _step_of_kept_photons,
            "You scaled the estimate to the photons of the image. But part of these are background, and do not belong "
            "to the object; without a background the step keeps the sum by itself. Leave it.",
        ),
    ),
    relative_tolerance=1e-3,
    praise=(
        "Right, with background, with Hᵀ and in the dark. Repeated, it climbs to the most probable object: no step is "
        "ever less likely than the one before."
    ),
)


# when to stop, without the truth ------------------------------------------------------------------------

MOST_ITERATIONS = 120
SCENE_SHAPE, PIXEL_SIZE_UM = (96, 96), (0.08, 0.08)
"""Of the object that `Blur` reckons with behind an image of 80 × 80 pixels, and the side of its pixels."""
ALLOWED = 1.1
"""NRMSE that passes, relative to the least that any number of iterations reaches."""


def _draw_dim(rng: torch.Generator) -> Case:
    """Return a dim image of nuclei, which must be stopped early."""
    nuclei = samples.nuclei(SCENE_SHAPE, voxel_size_um=PIXEL_SIZE_UM, count=8, diameter_um=2.0, rng=rng).density
    return _counted(nuclei, _log_uniform(rng, 8, 12), rng)


def _draw_bright(rng: torch.Generator) -> Case:
    """Return a bright image of filaments, which must not be stopped early."""
    filaments = samples.filaments(SCENE_SHAPE, voxel_size_um=PIXEL_SIZE_UM, count=14, length_um=6.0, rng=rng)
    return _counted(filaments, _log_uniform(rng, 200, 300), rng)


def _counted(scene: torch.Tensor, peak_photons: float, rng: torch.Generator) -> Case:
    """Return counts of the blurred scene, and the numbers of iterations that pass."""
    psf = _spot((15, 15), y=0, x=0, sigma=1.8).float()
    psf /= psf.sum()
    blur = deconvolution.Blur(psf, (80, 80))
    scene = scene * (peak_photons / blur(scene).max())
    counts = torch.poisson(blur(scene).clamp(min=0), generator=rng)
    truth, errors = blur.crop(scene), []
    deconvolution.richardson_lucy(
        counts,
        psf,
        iterations=MOST_ITERATIONS,
        callback=lambda _, estimate: errors.append(float((estimate - truth).norm())),
    )
    good = [number for number, error in enumerate(errors, start=1) if error <= ALLOWED * min(errors)]
    return Case((counts, psf, MOST_ITERATIONS), range(good[0], good[-1] + 1))


def _most_probable(photons: torch.Tensor, judges: torch.Tensor, psf: torch.Tensor, most_iterations: int) -> int:
    """Restore `photons`, and return the number of iterations after which `judges` are the most probable."""
    scores = []

    def watch(_iteration: int, _estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        mean = expected.double()
        scores.append(float((judges * mean.log() - mean).sum()))
        return False

    deconvolution.richardson_lucy(photons, psf, iterations=most_iterations, stop=watch)
    return scores.index(max(scores))


def _of_the_accelerated_method(counts: torch.Tensor, psf: torch.Tensor, most_iterations: int) -> int:
    return deconvolution.automatic_stop(counts, psf, most_iterations=most_iterations, rng=0).iterations


def _stop_by_rule(
    counts: torch.Tensor,
    psf: torch.Tensor,
    most_iterations: int,
    rule: deconvolution.Discrepancy | deconvolution.RelativeChange,
) -> int:
    """Return the number of iterations after which `rule` stops."""
    iterations: list[torch.Tensor] = []
    deconvolution.richardson_lucy(
        counts, psf, iterations=most_iterations, stop=rule, callback=lambda _, estimate: iterations.append(estimate)
    )
    return len(iterations)


def _stop_by_held_out_photons(counts: torch.Tensor, psf: torch.Tensor, most_iterations: int) -> int:
    seen, held_out = noise.split_photons(counts, fraction=0.5, rng=0)
    return _most_probable(seen, held_out, psf, most_iterations)


_TOO_FEW = (
    "The discrepancy stops too early here. It waits until the misfit is no larger than the noise, but where most "
    "pixels are nearly dark, a poor estimate meets that at once. Let photons that were held out judge "
    "(`noise.split_photons`)."
)

stop_blind = Exercise(
    draw=_draw_dim,
    draw_other=_draw_bright,
    solution=_stop_by_held_out_photons,
    mistakes=(
        Mistake(lambda counts, psf, n: _stop_by_rule(counts, psf, n, deconvolution.Discrepancy(counts)), _TOO_FEW),
        Mistake(
            lambda counts, psf, n: 1 + _stop_by_rule(counts, psf, n, deconvolution.Discrepancy(counts)),
            _TOO_FEW + " And you counted one too many: the first of its `values` is that of the start.",
        ),
        *(
            Mistake(
                lambda counts, psf, n, tolerance=tolerance: _stop_by_rule(
                    counts, psf, n, deconvolution.RelativeChange(tolerance)
                ),
                f"A change below {tolerance:g} comes far too late for the dim images: an estimate goes on changing "
                "while it takes noise for structure. That it changes little does not say that it is good. Let photons "
                "that were held out judge (`noise.split_photons`).",
            )
            for tolerance in (0.02, 0.01, 0.005)
        ),
        Mistake(
            _of_the_accelerated_method,
            "That is the number of `automatic_stop`, or near it, which counts *accelerated* iterations; plain "
            "Richardson-Lucy needs two to three times as many. Give it the method that you ask about: "
            "`method=deconvolution.richardson_lucy`.",
            tolerance=0.4,
        ),
        Mistake(
            lambda counts, psf, most_iterations: most_iterations,
            "You went on to the last iteration or nearly so. If that is a fixed number: it cannot suit both dim and "
            "bright images. A rule that waits until nothing changes any more waits as long. And if the photons that "
            "judge are those the estimate was made from, each iteration pleases them better, down to their noise. To "
            "divide the counts by 2 is no split: both halves have the same noise. Toss a coin for each photon "
            "(binomial thinning, `noise.split_photons`), restore what fell on one side, and let the other side judge.",
        ),
        Mistake(
            lambda counts, psf, most_iterations: 1,
            "You stopped after the first iteration every time. If that is a fixed number: it cannot suit both dim and "
            "bright images. If photons judged: are they as many as the others? If not, scale what is expected: with a "
            "share f restored, by (1 - f)/f.",
        ),
        Mistake(
            lambda counts, psf, most_iterations: 0,
            "You stopped before the first iteration every time. A fixed number cannot suit both dim and bright images; "
            "if photons judged, nothing was better than an even grey by your measure. Compare them with the blurred "
            "estimate, scaled to their number, and take the best score: is it the largest (likelihood) or the smallest "
            "(error)? And what does index 0 of your list stand for: `callback` is called first *after* an iteration, "
            "`stop` *before*.",
        ),
    ),
    if_constant=(
        "You stop each image after the same number of iterations, but a fixed number cannot suit both: what is right "
        "for a bright image of fine lines is far too many for a dim one. Let photons of the image itself decide."
    ),
    relative_tolerance=0.0,
    mistake_tolerance=0.1,
    praise=(
        "Within 10 % of the least error that any number of iterations could reach, dim or bright, and nobody showed "
        "you the truth."
    ),
)


# which PSF is wrong, and how ----------------------------------------------------------------------------

SHAPE, VOXEL_SIZE_UM = (25, 32, 32), (0.25, 0.08, 0.08)
ITERATIONS = 15


def _objective_psf(numerical_aperture: float, depth_um: float) -> torch.Tensor:
    """Return the PSF `depth_um` deep in a medium of index 1.40 under oil."""
    microscope = optics.Microscope(
        numerical_aperture=numerical_aperture, immersion_index=1.515, sample_index=1.40, depth_um=depth_um
    )
    return optics.gibson_lanni_psf(microscope, shape=SHAPE, voxel_size_um=VOXEL_SIZE_UM)


def _draw_restorations(rng: torch.Generator) -> Case:
    """Return beads in the middle plane, restored with four PSFs in an order that is drawn."""
    aperture, depth_um, background = _uniform(rng, 1.2, 1.3), _uniform(rng, 3, 5), 2.0
    flat = samples.beads(
        SHAPE[1:], voxel_size_um=VOXEL_SIZE_UM[1:], count=8, diameter_um=0.3, spacing_um=0.4, rng=rng
    ).density
    scene = torch.zeros(SHAPE)
    scene[SHAPE[0] // 2] = flat
    right = _objective_psf(aperture, depth_um)
    blurred = deconvolution.Blur(right, SHAPE, boundary="circular")(scene).clamp(min=0)
    photons = _uniform(rng, 250, 500) * blurred / blurred.max()
    image = torch.poisson(photons + background, generator=rng)
    direction, axis = 1 - 2 * int(torch.randint(0, 2, (), generator=rng)), int(torch.randint(1, 3, (), generator=rng))
    psfs = (
        (right, ITERATIONS),
        (_objective_psf(aperture, 0.0), ITERATIONS),  # as if there were no medium of another index
        (_objective_psf(0.8 * aperture, depth_um), ITERATIONS),
        (right.roll(direction, dims=axis), ITERATIONS + 1),  # the residual alone would call this one the best
    )
    restorations, residuals = [], []
    for psf, iterations in psfs:
        restored = deconvolution.accelerated_richardson_lucy(
            image, psf, iterations=iterations, background=background, boundary="circular"
        )
        expected = deconvolution.Blur(psf, SHAPE, boundary="circular")(restored).clamp(min=0) + background
        restorations.append(restored)
        residuals.append((image - expected) / expected.sqrt())
    order = [0, 1, 2, 3]
    while all(order[order[i]] == i for i in order):  # or a list of places could be read both ways
        order = torch.randperm(4, generator=rng).tolist()
    arguments = (image, torch.stack([restorations[i] for i in order]), torch.stack([residuals[i] for i in order]))
    return Case(arguments, tuple(order.index(i) for i in range(4)))


def _is_shifted(image: torch.Tensor, restoration: torch.Tensor) -> bool:
    """Tell whether image and restoration, seen along z, lie best on each other when one of them is moved."""
    above, restored = image.sum(dim=0), restoration.sum(dim=0)
    overlap = torch.fft.ifft2(torch.fft.fft2(restored) * torch.fft.fft2(above).conj()).real
    return int(overlap.argmax()) != 0


def _asymmetry(restoration: torch.Tensor) -> float:
    """Return the share of the light along z that has no counterpart on the other side of the beads."""
    profile = restoration.sum(dim=(-2, -1))
    return float((profile - profile.flip(0)).abs().sum() / profile.sum())


def _diagnose(image: torch.Tensor, restorations: torch.Tensor, residuals: torch.Tensor) -> tuple[int, int, int, int]:
    places = [0, 1, 2, 3]
    shifted = max(places, key=lambda i: _is_shifted(image, restorations[i]))
    index = max(places, key=lambda i: _asymmetry(restorations[i]))
    right, aperture = sorted({0, 1, 2, 3} - {shifted, index}, key=lambda i: float((residuals[i] ** 2).mean()))
    return right, index, aperture, shifted


def _by_residual(residuals: torch.Tensor) -> tuple[int, ...]:
    """Return the places in the order of their residuals, the smallest first."""
    return tuple((residuals**2).mean(dim=(1, 2, 3)).argsort().tolist())


diagnose_psf = Exercise(
    draw=_draw_restorations,
    solution=_diagnose,
    mistakes=(
        Mistake(
            lambda *a: tuple(_diagnose(*a)[i] for i in (3, 1, 2, 0)),
            "You took the PSF with the smallest residual for the right one, but that is the shifted one. A residual "
            "cannot see a shift: the restoration moves the other way, and blurred again it fits as well. Compare where "
            "the beads lie in restoration and image.",
        ),
        Mistake(
            lambda *a: tuple(_diagnose(*a)[i] for i in (0, 2, 1, 3)),
            "Wrong index and wrong NA have changed places. A wrong index aberrates, and the beads get a tail on one "
            "side in z; a wrong NA is wrong alike above and below. Compare the light along z with its mirror image.",
        ),
        Mistake(
            lambda *a: tuple(_diagnose(*a)[i] for i in (3, 2, 1, 0)),
            "Two things: the smallest residual is that of the shifted PSF, so compare where the beads lie; and it is "
            "the wrong index, not the NA, that makes beads lopsided in z.",
        ),
        Mistake(
            lambda *a: tuple(_diagnose(*a)[i] for i in (2, 1, 0, 3)),
            "Right PSF and wrong NA have changed places: did you take the larger residual for the better one? The "
            "smaller it is, the better a PSF explains the image. With too low an NA the PSF is broader than the "
            "finest parts of the image, and cannot explain them: its residual is the larger of the two.",
        ),
        Mistake(
            lambda image, restorations, residuals: _by_residual(residuals),
            "You put the four in the order of their residuals. That order alone tells neither a shift, which leaves "
            "no trace in it, nor a wrong index from a wrong NA. Find the shift by the place of the beads and the index "
            "by their shape along z; only between the last two does the residual decide.",
        ),
        Mistake(
            lambda *a: tuple(place + 1 for place in _diagnose(*a)),
            "All found, but counted from 1. Python counts from 0.",
        ),
        Mistake(
            lambda *a: tuple(sorted(range(4), key=lambda i: _diagnose(*a)[i])),
            "All found, but told the other way round: you listed what each place is. Return the place of the right "
            "PSF, then those of the wrong index, the low NA and the shift.",
        ),
    ),
    relative_tolerance=0.0,
    praise=(
        "All four found without the truth: the residual shows what a PSF cannot explain, the shape of beads the "
        "aberration, and only their place the shift."
    ),
)
