"""Other right ways to solve the exercises of the deconvolution chapter pass, and their draws are what the text says."""

import numpy as np
import pytest
import torch

from course_lib import deconvolution, noise, optics
from course_lib.exercises.deconvolution import (
    MOST_ITERATIONS,
    diagnose_psf,
    richardson_lucy_step,
    stop_blind,
    wiener,
)

SEEDS = range(5)


def with_numpy(image, psf, noise_to_signal):
    transfer = np.fft.fft2(np.roll(psf.numpy(), [-(side // 2) for side in psf.shape], axis=(0, 1)))
    spectrum = np.fft.fft2(image.numpy()) * np.conj(transfer) / (np.abs(transfer) ** 2 + noise_to_signal)
    return np.fft.ifft2(spectrum).real


def with_half_spectra(image, psf, noise_to_signal):
    transfer = torch.fft.rfft2(torch.fft.ifftshift(psf))
    filtered = torch.fft.rfft2(image) / (transfer + noise_to_signal / transfer.conj())
    return torch.fft.irfft2(filtered, s=image.shape)


def in_single_precision(image, psf, noise_to_signal):
    return wiener.solution(image.float(), psf.float(), noise_to_signal)


def with_a_shift_of_phase(image, psf, noise_to_signal):
    transfer = torch.fft.fft2(psf)
    for axis, side in enumerate(psf.shape):
        turn = torch.exp(2j * torch.pi * torch.fft.fftfreq(side, dtype=torch.float64) * (side // 2))
        transfer = transfer * turn.reshape(-1, 1) if axis == 0 else transfer * turn
    return torch.fft.ifft2(torch.fft.fft2(image) * transfer.conj() / (transfer.abs() ** 2 + noise_to_signal)).real


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [with_numpy, with_half_spectra, in_single_precision, with_a_shift_of_phase])
def test_every_way_to_the_wiener_filter_passes(answer, seed):
    assert wiener.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_wiener_filter_is_worth_the_work(seed):
    """The restoration, blurred again, is nearer to the image than the image is when it is blurred."""
    image, psf, _ = wiener.draw(torch.Generator().manual_seed(seed)).arguments
    assert not torch.allclose(psf, psf.flip((0, 1)), atol=1e-3)
    restored = wiener.solution(image, psf, 0.01)
    blur = optics.Convolution(psf, image.shape, boundary="circular")
    assert float((blur(restored) - image).norm()) < 0.5 * float((blur(image) - image).norm())


def test_a_complex_answer_is_told_what_to_take_of_it():
    def forgetful(image, psf, noise_to_signal):
        transfer = torch.fft.fft2(torch.fft.ifftshift(psf))
        return torch.fft.ifft2(torch.fft.fft2(image) * transfer.conj() / (transfer.abs() ** 2 + noise_to_signal))

    for answer in (forgetful, lambda *a: forgetful(*a).numpy()):
        feedback = wiener.check(answer, rng=0)
        assert feedback.status == "hint"
        assert "only the real part, `.real`, is meant" in feedback.message
    feedback = wiener.check(lambda *a: 1j * forgetful(*a), rng=0)
    assert feedback.status == "wrong"
    assert "complex numbers of shape (45, 51), of which only the real part, `.real`, is meant" in feedback.message


def test_a_complex_answer_with_a_slip_is_told_of_the_slip():
    def unconjugated(image, psf, noise_to_signal):
        transfer = torch.fft.fft2(torch.fft.ifftshift(psf))
        return torch.fft.ifft2(torch.fft.fft2(image) * transfer / (transfer.abs() ** 2 + noise_to_signal))

    assert "above it stands H instead of its conjugate" in wiener.check(unconjugated, rng=0).message


def test_shapes_and_types_that_are_wrong_are_told():
    assert "a tensor of shape (2, 45, 51)" in wiener.check(lambda i, p, n: torch.stack([i, i]), rng=0).message
    assert "IndexError" in wiener.check(lambda i, p, n: i[99], rng=0).message
    assert "a tensor of shape (32, 36)" in richardson_lucy_step.check(lambda x, y, h, b: x[0], rng=0).message
    assert "you returned a tensor of shape (80, 80)" in stop_blind.check(lambda c, p, n: c, rng=0).message
    assert "(nothing, 1, 2, 3), but (" in diagnose_psf.check(lambda *a: (None, 1, 2, 3), rng=0).message
    assert "(right, " not in diagnose_psf.check(lambda *a: "right", rng=0).message


def test_whole_numbers_of_any_type_pass_and_halves_do_not():
    for kind in (torch.tensor, np.int64, float):
        assert stop_blind.check(lambda *a, kind=kind: kind(stop_blind.solution(*a)), rng=0).status == "passed"
    feedback = stop_blind.check(lambda *a: stop_blind.solution(*a) + 0.5, rng=0)
    assert feedback.status == "wrong"
    assert "but any whole number from " in feedback.message


def by_the_quotient_of_the_floor(estimate, image, blur, background):
    expected = (blur(estimate) + background).clamp(min=1e-6)
    return estimate * blur.adjoint(image / expected)


def by_nan_to_num(estimate, image, blur, background):
    return estimate * blur.adjoint(torch.nan_to_num(image / (blur(estimate) + background))) / blur.reach


def by_a_small_addend(estimate, image, blur, background):
    return estimate / blur.reach * blur.adjoint(image / (blur(estimate) + background + 1e-9))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [by_the_quotient_of_the_floor, by_nan_to_num, by_a_small_addend])
def test_every_guard_against_the_dark_passes(answer, seed):
    assert richardson_lucy_step.check(answer, rng=seed).status == "passed"


def test_a_slip_that_also_divides_by_zero_is_told_of_the_zero():
    feedback = richardson_lucy_step.check(lambda x, y, blur, b: x * (y / (blur(x) + b)) ** 2, rng=0)
    assert feedback.status == "wrong"
    assert "with 1152 times NaN, as from 0 divided by 0" in feedback.message


@pytest.mark.parametrize("seed", SEEDS)
def test_the_step_is_that_of_the_library(seed):
    _, image, blur, background = richardson_lucy_step.draw(torch.Generator().manual_seed(seed)).arguments
    psf = torch.fft.fftshift(torch.fft.irfftn(blur.transfer, s=blur.object_shape)).clamp(min=0)
    library = deconvolution.richardson_lucy(
        image[0], psf / psf.sum(), iterations=1, background=background[0], boundary="circular"
    )
    start = (image[0] - background[0]).mean().expand(image.shape[1:]).contiguous()
    own = richardson_lucy_step.solution(start[None], image[:1], blur, background[:1])[0]
    torch.testing.assert_close(own, library, rtol=1e-6, atol=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_background_the_step_keeps_the_photons(seed):
    estimate, image, blur, background = richardson_lucy_step.draw(torch.Generator().manual_seed(seed)).arguments
    kept = richardson_lucy_step.solution(estimate, image, blur, 0 * background)
    assert float(kept.sum()) == pytest.approx(float(image.sum()), rel=1e-9)
    behind = richardson_lucy_step.solution(estimate, image, blur, background)
    assert float(behind.sum()) < 0.7 * float(image.sum())


def best(photons, judges, psf, most_iterations, *, misfit):
    """Restore `photons`, and return the number of iterations after which the misfit to `judges` is least."""
    misfits = []

    def watch(_iteration, _estimate, expected):
        misfits.append(float(misfit(judges, expected.double()).sum()))
        return False

    deconvolution.richardson_lucy(photons, psf, iterations=most_iterations, stop=watch)
    return misfits.index(min(misfits))


def squares(judges, mean):
    return (judges - mean) ** 2


def deviance(judges, mean):
    return 2 * (torch.special.xlogy(judges, judges / mean) - judges + mean)


@pytest.mark.parametrize("seed", range(8))
def test_half_of_the_photons_judges_the_other_whatever_the_split(seed):
    def by_half(counts, psf, most_iterations):
        seen, held_out = noise.split_photons(counts, fraction=0.5, rng=seed + 100)
        return best(seen, held_out, psf, most_iterations, misfit=deviance)

    assert stop_blind.check(by_half, rng=seed).status == "passed"


def test_the_estimate_that_the_callback_gets_may_be_blurred_again():
    def with_callback(counts, psf, most_iterations):
        seen, held_out = noise.split_photons(counts, fraction=0.5, rng=0)
        blur, inner, scores = optics.Convolution(psf, counts.shape), slice(7, -7), []

        def keep(_number, estimate):
            mean = blur(estimate.contiguous())[inner, inner].clamp(min=1e-6)
            scores.append(float((held_out[inner, inner] * mean.log() - mean).sum()))

        deconvolution.richardson_lucy(seen, psf, iterations=most_iterations, callback=keep)
        return 1 + scores.index(max(scores))

    assert stop_blind.check(with_callback, rng=0).status == "passed"


@pytest.mark.parametrize("misfit", [squares, deviance])
def test_photons_that_judge_themselves_are_recognised(misfit):
    def by_themselves(counts, psf, most_iterations):
        return best(counts, counts, psf, most_iterations, misfit=misfit)

    feedback = stop_blind.check(by_themselves, rng=0)
    assert feedback.status == "hint"
    assert "if the photons that judge are those the estimate was made from" in feedback.message


@pytest.mark.parametrize(("first", "words"), [(0, "before the first iteration"), (1, "after the first iteration")])
def test_photons_that_are_not_scaled_are_recognised(first, words):
    def unscaled(counts, psf, most_iterations):
        seen, held_out = noise.split_photons(counts, fraction=0.9, rng=0)
        return first + best(seen, held_out, psf, most_iterations, misfit=squares)

    feedback = stop_blind.check(unscaled, rng=0)
    assert feedback.status == "hint"
    assert words in feedback.message


@pytest.mark.parametrize("seed", range(8))
def test_one_number_never_suits_a_dim_and_a_bright_image(seed):
    dim = stop_blind.draw(torch.Generator().manual_seed(seed)).expected
    bright = stop_blind.draw_other(torch.Generator().manual_seed(seed)).expected
    assert 1 <= dim[0] <= dim[-1] < bright[0] <= bright[-1] < MOST_ITERATIONS


@pytest.mark.parametrize("number", [1, 6, 15, 30, 50, 119, 120, 0])
def test_a_fixed_number_is_told_that_it_cannot_suit_both(number):
    feedback = stop_blind.check(lambda *a: number, rng=number)
    assert feedback.status == "hint"
    assert "fixed number" in feedback.message
    assert "cannot suit both" in feedback.message


@pytest.mark.parametrize("seed", SEEDS)
def test_the_residual_is_blind_to_the_shift_and_the_beads_show_the_rest(seed):
    case = diagnose_psf.draw(torch.Generator().manual_seed(seed))
    image, restorations, residuals = case.arguments
    right, index, aperture, shifted = case.expected
    size = residuals.square().mean(dim=(1, 2, 3)).tolist()
    assert size[shifted] < size[right] < min(size[index], size[aperture])
    assert size[right] - size[shifted] < 0.1 * size[right]
    heights = torch.arange(25) - 12.0
    light = restorations.sum(dim=(2, 3)) / restorations.sum(dim=(1, 2, 3))[:, None]
    lean = (light * heights).sum(1).abs().tolist()
    assert lean.index(max(lean)) == index
    assert float(restorations[right].sum()) == pytest.approx(float((image - 2).sum()), rel=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_places_of_the_beads_tell_the_shift_as_well(seed):
    def by_brightest_columns(image, restorations, residuals):
        """Let image and restoration vote on the shift that makes their products largest, without a transform."""
        above = image.sum(0)
        votes = []
        for restored in restorations.sum(1):
            overlaps = {
                (dy, dx): float((restored * above.roll((dy, dx), (0, 1))).sum())
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
            }
            votes.append(max(overlaps, key=overlaps.__getitem__) != (0, 0))
        shifted = votes.index(True)
        rest = [place for place in range(4) if place != shifted]
        heights = torch.arange(25) - 12.0
        index = max(rest, key=lambda i: abs(float((restorations[i].sum((1, 2)) * heights).sum())))
        right, aperture = sorted(set(rest) - {index}, key=lambda i: float(residuals[i].std()))
        return torch.tensor([right, index, aperture, shifted])

    assert diagnose_psf.check(by_brightest_columns, rng=seed).status == "passed"


# as a student would write it ------------------------------------------------------------------------------


def forgot_the_way_back(image, psf, noise_to_signal):
    transfer = torch.fft.fft2(torch.fft.ifftshift(psf))
    return (transfer.conj() / (transfer.abs() ** 2 + noise_to_signal) * torch.fft.fft2(image)).real


def shifted_the_spectrum_of_the_psf(image, psf, noise_to_signal):
    transfer = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(psf)))
    return torch.fft.ifft2(transfer.conj() / (transfer.abs() ** 2 + noise_to_signal) * torch.fft.fft2(image)).real


def shifted_both_spectra(image, psf, noise_to_signal):
    transfer = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(psf)))
    seen = torch.fft.fftshift(torch.fft.fft2(image))
    return torch.fft.ifft2(transfer.conj() / (transfer.abs() ** 2 + noise_to_signal) * seen).real


def shifted_the_result(image, psf, noise_to_signal):
    return torch.fft.fftshift(with_half_spectra(image, psf, noise_to_signal))


def shifted_the_spectrum_instead_of_the_psf(image, psf, noise_to_signal):
    transfer = torch.fft.ifftshift(torch.fft.fft2(psf))
    return torch.fft.ifft2(transfer.conj() / (transfer.abs() ** 2 + noise_to_signal) * torch.fft.fft2(image)).real


def divided_by_the_power(image, psf, noise_to_signal):
    transfer = torch.fft.rfft2(torch.fft.ifftshift(psf))
    return torch.fft.irfft2(torch.fft.rfft2(image) / (transfer.abs() ** 2 + noise_to_signal), s=image.shape)


def forgot_the_way_back_and_the_real_part(image, psf, noise_to_signal):
    transfer = torch.fft.fft2(torch.fft.ifftshift(psf))
    return transfer.conj() / (transfer.abs() ** 2 + noise_to_signal) * torch.fft.fft2(image)


def called_the_library(image, psf, noise_to_signal):
    return deconvolution.wiener(image, psf, noise_to_signal=noise_to_signal)


def called_tikhonov(image, psf, noise_to_signal):
    return deconvolution.tikhonov(image, psf, regularization=noise_to_signal)


def let_the_library_estimate(image, psf, noise_to_signal):
    return deconvolution.wiener(image, psf)


def turned_the_ratio_round(image, psf, noise_to_signal):
    return with_half_spectra(image, psf, 1 / noise_to_signal)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (forgot_the_way_back, "Transform it back: `torch.fft.ifft2`"),
        (shifted_the_spectrum_of_the_psf, "each frequency gets the factor of another"),
        (shifted_both_spectra, "each pixel is multiplied by a fine grating"),
        (shifted_the_result, "an `fftshift` at the end has moved it"),
        (shifted_the_spectrum_instead_of_the_psf, "You shifted the spectrum, after the FFT"),
        (divided_by_the_power, "but nothing stands above it"),
        (forgot_the_way_back_and_the_real_part, "These complex numbers are the spectrum"),
        (called_the_library, "That is the filter of the library"),
        (called_tikhonov, "That is the filter of the library"),
        (let_the_library_estimate, "with linear borders, which estimates the ratio"),
        (turned_the_ratio_round, "You added 1/λ, the ratio of signal to noise"),
    ],
)
def test_slips_with_transforms_get_their_own_hint(answer, words, seed):
    feedback = wiener.check(answer, rng=seed)
    assert feedback.status == "hint"
    assert words in feedback.message


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clamp_at_one_photon_is_told_from_one_at_nearly_none(seed):
    def clamped(estimate, image, blur, background, least):
        return estimate * blur.adjoint(image / (blur(estimate) + background).clamp(min=least))

    feedback = richardson_lucy_step.check(lambda *a: clamped(*a, 1), rng=seed)
    assert feedback.status == "hint"
    assert "`clamp(min=1)` made it one" in feedback.message
    assert richardson_lucy_step.check(lambda *a: clamped(*a, 1e-6), rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x, y, blur, b: x * blur.adjoint(y / blur(x)), "You forgot the background"),
        (lambda x, y, blur, b: x * blur.adjoint((y - b) / blur(x)), "You subtracted the background"),
        (lambda x, y, blur, b: x * blur.adjoint((blur(x) + b) / y), "The ratio is upside down: "),
        (lambda x, y, blur, b: x * blur(y / (blur(x) + b)), "you blurred it forward"),
        (lambda x, y, blur, b: x * (y / (blur(x) + b)), "by the ratio of each pixel alone"),
    ],
)
def test_a_slip_with_a_plain_division_gets_its_hint_and_is_told_of_the_zero(answer, words, seed):
    feedback = richardson_lucy_step.check(answer, rng=seed)
    assert feedback.status == "hint"
    assert words in feedback.message
    assert "Then mend the NaN, too" in feedback.message


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (deconvolution.Discrepancy, "The discrepancy stops too early"),
        (lambda counts: deconvolution.RelativeChange(0.01), "A change below 0.01 comes far too late"),
    ],
)
def test_rules_that_do_not_suit_are_recognised(rule, words, seed):
    def by_rule(counts, psf, most_iterations):
        stop, iterations = rule(counts), []
        deconvolution.richardson_lucy(
            counts, psf, iterations=most_iterations, stop=stop, callback=lambda number, _: iterations.append(number)
        )
        return iterations[-1]

    feedback = stop_blind.check(by_rule, rng=seed)
    assert feedback.status == "hint"
    assert words in feedback.message


@pytest.mark.parametrize("seed", [0, 1])
def test_accelerated_iterations_are_told_from_plain_ones(seed):
    feedback = stop_blind.check(lambda c, p, n: deconvolution.automatic_stop(c, p, rng=0).iterations, rng=seed)
    assert feedback.status == "hint"
    assert "which counts *accelerated* iterations" in feedback.message
    plain = stop_blind.check(
        lambda c, p, n: (
            deconvolution.automatic_stop(
                c, p, method=deconvolution.richardson_lucy, most_iterations=n, splits=4, rng=0
            ).iterations
        ),
        rng=seed,
    )
    assert plain.status == "passed"


def test_counts_divided_by_two_are_no_split():
    def halved(counts, psf, most_iterations):
        return best(counts / 2, counts / 2, psf, most_iterations, misfit=deviance_of_halves)

    feedback = stop_blind.check(halved, rng=0)
    assert feedback.status == "hint"
    assert "To divide the counts by 2 is no split" in feedback.message


def deviance_of_halves(judges, mean):
    return mean - torch.xlogy(judges, mean)


def test_an_index_that_starts_after_the_first_iteration_is_recognised():
    def off_by_one(counts, psf, most_iterations):
        seen, held_out = noise.split_photons(counts, fraction=0.9, rng=0)
        blur, inner, misfits = optics.Convolution(psf, counts.shape), slice(7, -7), []

        def keep(_number, estimate):
            misfits.append(float(((held_out - blur(estimate.contiguous()))[inner, inner] ** 2).sum()))

        deconvolution.richardson_lucy(seen, psf, iterations=most_iterations, callback=keep)
        return misfits.index(min(misfits))

    feedback = stop_blind.check(off_by_one, rng=0)
    assert feedback.status == "hint"
    assert "what does index 0 of your list stand for" in feedback.message


@pytest.mark.parametrize(
    ("reverse", "words"), [(False, "That order alone"), (True, "did you take the larger residual for the better one?")]
)
def test_the_order_of_the_residuals_alone_does_not_pass(reverse, words):
    def ranked(image, restorations, residuals):
        return sorted(range(4), key=lambda i: float(residuals[i].std()), reverse=reverse)

    feedback = diagnose_psf.check(ranked, rng=0)
    assert feedback.status == "hint"
    assert words in feedback.message
