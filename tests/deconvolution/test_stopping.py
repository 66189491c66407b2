import dataclasses
import functools
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from course_lib.deconvolution import (
    Blur,
    Discrepancy,
    HeldOutPhotons,
    RelativeChange,
    accelerated_richardson_lucy,
    automatic_stop,
    landweber,
    richardson_lucy,
    tikhonov,
    tikhonov_miller,
    wiener,
)
from course_lib.noise import split_photons
from course_lib.samples import filaments, nuclei
from synthetic import gaussian

BACKGROUND = 5.0


PSF = gaussian((15, 15), 2.0).float()


def scene(
    sample: str = "filaments", *, peak: float = 200.0, side: int = 64
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return object, expected photons and counted photons."""
    shape, voxel_size_um = (side + 14, side + 14), (0.1, 0.1)
    if sample == "filaments":
        truth = filaments(shape, voxel_size_um=voxel_size_um, count=side // 6, diameter_um=0.3, rng=3)
    else:
        truth = nuclei(shape, voxel_size_um=voxel_size_um, count=side**2 // 1300, diameter_um=3.5, rng=3).density
    mean = Blur(PSF, shape, boundary="circular")(truth).clamp(min=0)[7:-7, 7:-7]
    truth = truth[7:-7, 7:-7] * (peak / mean.max())
    mean = mean * (peak / mean.max()) + BACKGROUND
    return truth, mean, torch.poisson(mean, generator=torch.Generator().manual_seed(4))


def nrmse(estimate: torch.Tensor, truth: torch.Tensor) -> float:
    return float((estimate - truth).norm() / truth.norm())


def errors_of(image: torch.Tensor, truth: torch.Tensor, *, background: float, iterations: int = 80) -> list[float]:
    """Return the error after each iteration."""
    errors: list[float] = []
    accelerated_richardson_lucy(
        image,
        PSF,
        iterations=iterations,
        background=background,
        callback=lambda _, estimate: errors.append(nrmse(estimate, truth)),
    )
    return errors


# RelativeChange


def test_the_relative_change_is_that_of_the_estimates() -> None:
    _, _, image = scene()
    estimates: list[torch.Tensor] = []
    rule = RelativeChange(0.02)

    def stop(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        estimates.append(estimate.double())
        return rule(iteration, estimate, expected)

    richardson_lucy(image, PSF, iterations=200, background=BACKGROUND, stop=stop)
    changes = [float((b - a).norm() / a.norm()) for a, b in itertools.pairwise(estimates)]
    assert rule.changes == pytest.approx(changes, rel=1e-4)
    assert rule.changes[-1] < 0.02 <= min(rule.changes[:-1])


def test_a_smaller_tolerance_takes_longer_and_a_rule_can_be_used_again() -> None:
    _, _, image = scene()
    lengths = []
    for tolerance in (0.1, 0.03, 0.01):
        rule = RelativeChange(tolerance)
        for _ in range(2):
            richardson_lucy(image, PSF, iterations=200, background=BACKGROUND, stop=rule)
            lengths.append(len(rule.changes))
    assert lengths[0] == lengths[1] < lengths[2] == lengths[3] < lengths[4] == lengths[5] < 200


def test_an_empty_estimate_does_not_change() -> None:
    rule = RelativeChange(0.01)
    richardson_lucy(torch.zeros(8, 8), torch.ones(3, 3) / 9, stop=rule)
    assert rule.changes == [0.0]
    assert not rule(0, torch.zeros(2, 2), torch.zeros(2, 2))
    assert not rule(1, torch.ones(2, 2), torch.ones(2, 2))
    assert rule.changes == [math.inf]


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [(0.0, "tolerance is 0, but must be above 0"), (-1.0, "tolerance is -1, but"), (math.nan, "tolerance is nan, but")],
)
def test_a_bad_tolerance(tolerance: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RelativeChange(tolerance)


# Discrepancy


@pytest.mark.parametrize("peak", [2.0, 20.0, 2000.0])
def test_the_discrepancy_of_the_truth_is_1(peak: float) -> None:
    _, mean, _ = scene(peak=peak)
    mean = mean - 0.9 * BACKGROUND  # down to half a photon a voxel
    images = torch.poisson(mean.expand(200, *mean.shape), generator=torch.Generator().manual_seed(0))
    rules = [Discrepancy(image) for image in images]
    for rule in rules:
        rule(0, mean, mean)
    values = np.array([rule.values[0] for rule in rules])
    assert abs(values.mean() - 1) < 4 * values.std() / math.sqrt(len(values))
    assert values.std() == pytest.approx(math.sqrt(float((2 + 1 / mean).mean()) / mean.numel()), rel=0.2)


def test_read_noise_adds_its_variance() -> None:
    _, mean, image = scene(peak=20.0)
    noisy = (image + 2.0 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))).clamp(min=0)
    told, untold = Discrepancy(noisy, read_noise_e=2.0), Discrepancy(noisy)
    for rule in (told, untold):
        rule(0, mean, mean)
    assert told.values[0] == pytest.approx(1, abs=0.1)
    assert untold.values[0] > 1.5


def test_the_discrepancy_is_the_mean_squared_error_over_the_variance() -> None:
    image, expected = torch.tensor([[4.0, 9.0], [0.0, 2.0]]), torch.tensor([[1.0, 7.0], [2.0, 3.0]])
    rule = Discrepancy(image, read_noise_e=3.0)
    rule(0, expected, expected)
    assert rule.values == pytest.approx([(9 / (1 + 9) + 4 / (7 + 9) + 4 / (2 + 9) + 1 / (3 + 9)) / 4])


@pytest.mark.parametrize("method", [richardson_lucy, accelerated_richardson_lucy])
def test_it_stops_where_the_image_is_explained(method: Any) -> None:
    truth, _, image = scene()
    rule = Discrepancy(image)
    restored = method(image, PSF, iterations=500, background=BACKGROUND, stop=rule)
    assert rule.values[-1] <= 1 < min(rule.values[:-1])
    assert nrmse(restored, truth) < 1.3 * min(errors_of(image, truth, background=BACKGROUND))
    assert nrmse(restored, truth) < 0.6 * nrmse(image - BACKGROUND, truth)


@pytest.mark.parametrize("background", [0.0, 0.2])
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(landweber, id="landweber"),
        pytest.param(functools.partial(tikhonov_miller, penalty="identity", minimum=None), id="tikhonov_miller"),
    ],
)
def test_an_estimate_that_expects_less_than_nothing_is_not_explained(method: Any, background: float) -> None:
    points = torch.zeros(64, 64)
    points[20, 20], points[40, 44] = 5000.0, 3000.0
    mean = Blur(PSF, (64, 64), boundary="circular")(points).clamp(min=0) + background
    image = torch.poisson(mean, generator=torch.Generator().manual_seed(0))
    lowest: list[float] = []
    rule = Discrepancy(image)

    def stop(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        lowest.append(float(expected.min()))
        return rule(iteration, estimate, expected)

    method(image, PSF, iterations=10, background=background, stop=stop)
    assert min(lowest) < -1
    assert len(rule.values) == 10
    assert min(rule.values) > 1
    assert all(map(math.isfinite, rule.values))
    bounded = Discrepancy(image)
    method(image, PSF, iterations=200, background=background, minimum=0.0, stop=bounded)
    assert bounded.values[-1] <= 1 < min(bounded.values[:-1])


@pytest.mark.parametrize("method", [landweber, richardson_lucy])
def test_an_image_without_photons_is_explained_at_once(method: Any) -> None:
    rule = Discrepancy(torch.zeros(8, 8))
    method(torch.zeros(8, 8), torch.ones(3, 3) / 9, iterations=5, stop=rule)
    assert rule.values == [0.0]


@pytest.mark.parametrize("peak", [50.0, 500.0])
def test_the_best_estimate_has_taken_up_some_noise(peak: float) -> None:
    truth, mean, image = scene(peak=peak, side=96)
    rule, errors = Discrepancy(image, limit=1e-9), [math.inf]
    richardson_lucy(
        image,
        PSF,
        iterations=300,
        background=BACKGROUND,
        stop=rule,
        callback=lambda _, estimate: errors.append(nrmse(estimate, truth)),
    )
    best = int(np.argmin(errors))
    assert 0 < best < 299
    of_truth = Discrepancy(image)
    of_truth(0, mean, mean)
    assert 0.8 < rule.values[best] < of_truth.values[0]


def test_a_wrong_gain_keeps_the_discrepancy_above_1() -> None:
    _, _, image = scene(peak=2000.0)
    rule = Discrepancy(3.0 * image)
    richardson_lucy(3.0 * image, PSF, iterations=100, background=3.0 * BACKGROUND, stop=rule)
    assert len(rule.values) == 100
    assert rule.values[-1] > 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image": torch.full((4, 4), -1.0)}, "image has 16 negative values"),
        ({"image": torch.full((4, 4), torch.nan)}, "image has 16 values that are NaN"),
        ({"limit": 0.0}, "limit is 0, but must be above 0"),
        ({"read_noise_e": -1.0}, "read_noise_e is -1, but must be at least 0"),
    ],
)
def test_a_bad_discrepancy(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Discrepancy(**({"image": torch.ones(4, 4)} | values))


# HeldOutPhotons


@pytest.mark.parametrize("boundary", ["linear", "circular"])
@pytest.mark.parametrize("shape", [(14, 15), (15, 14), (4, 9, 8)])
def test_the_score_is_the_squared_error_after_a_wiener_filter(boundary: str, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    psf = torch.rand((3, 4, 5)[-len(shape) :], generator=generator, dtype=torch.float64)
    psf /= psf.sum()
    held_out = torch.poisson(torch.full((2, *shape), 5.0, dtype=torch.float64), generator=generator)
    expected = 15 + torch.rand(2, *shape, generator=generator, dtype=torch.float64)
    rule = HeldOutPhotons(held_out, psf, share=0.25, boundary=boundary)
    rule(0, expected, expected)
    grid = Blur(psf, shape, boundary=boundary).object_shape
    axes = tuple(range(-len(shape), 0))
    transfer = np.abs(np.fft.fftn(psf.numpy(), s=grid, axes=axes))
    error = np.fft.fftn((held_out - expected / 3).numpy(), s=grid, axes=axes) * transfer / (transfer**2 + 0.001)
    squared_error = (np.abs(error) ** 2).sum() / math.prod(grid) / held_out.numel()
    assert rule.scores == pytest.approx([-squared_error], rel=1e-10)


def test_scores_differ_as_the_errors_do() -> None:
    _, mean, _ = scene(peak=50.0, side=32)
    share, draws = 0.25, 100
    kept_mean = (1 - share) * mean
    tilted = kept_mean * torch.linspace(0.9, 1.1, 32)
    generator = torch.Generator().manual_seed(0)
    differences = []
    for _ in range(draws):
        rule = HeldOutPhotons(torch.poisson(share * mean, generator=generator), PSF, share=share)
        rule(0, kept_mean, kept_mean)
        rule(1, tilted, tilted)
        differences.append(rule.scores[0] - rule.scores[1])
    noiseless = HeldOutPhotons(share * mean, PSF, share=share)
    noiseless(0, tilted, tilted)
    expected = -noiseless.scores[0]
    assert expected > 0
    assert abs(np.mean(differences) - expected) < 4 * np.std(differences) / math.sqrt(draws)


def test_patience() -> None:
    held_out = torch.full((8, 8), 10.0)
    rule = HeldOutPhotons(held_out, torch.ones(1, 1), share=0.5, patience=2)
    offsets = [4, 3, 5, 2, 1, 3, 3]
    answers = [rule(k, held_out, held_out + offset) for k, offset in enumerate(offsets)]
    assert answers == [False, False, False, False, False, False, True]
    assert rule.best == 4
    assert not rule(0, held_out, held_out + 1)
    assert len(rule.scores) == 1


def test_it_stops_before_the_noise_is_explained() -> None:
    truth, _, image = scene()
    held_out, kept = split_photons(image, fraction=0.25, rng=0)
    rule = HeldOutPhotons(held_out, PSF, share=0.25)
    restored = richardson_lucy(kept, PSF, iterations=2000, background=0.75 * BACKGROUND, stop=rule) / 0.75
    assert len(rule.scores) < 2000
    assert nrmse(restored, truth) < 0.6 * nrmse(image - BACKGROUND, truth)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"held_out": torch.full((4, 4), -1.0)}, ValueError, "16 negative values, the lowest -1, but must be photons"),
        ({"held_out": torch.full((4, 4), torch.nan)}, ValueError, "held_out has 16 values that are NaN"),
        ({"held_out": torch.ones(4, 4).int()}, TypeError, "held_out has dtype torch.int32, but must be floating point"),
        ({"psf": torch.ones(3, 3)}, ValueError, "psf sums to 9, but must sum to 1"),
        ({"share": 0.0}, ValueError, "share is 0, but must be above 0"),
        ({"share": 1.0}, ValueError, "share is 1, but must be below 1, or no photons are left to deconvolve"),
        ({"patience": 0}, ValueError, "patience is 0, but must be at least 1"),
        ({"boundary": "zero"}, ValueError, "boundary is 'zero', but must be"),
    ],
)
def test_bad_held_out_photons(values: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"held_out": torch.ones(4, 4), "psf": torch.ones(3, 3) / 9, "share": 0.25} | values
    with pytest.raises(error, match=message):
        HeldOutPhotons(given.pop("held_out"), given.pop("psf"), **given)


# automatic_stop


@pytest.mark.parametrize("sample", ["filaments", "nuclei"])
@pytest.mark.parametrize("peak", [20.0, 200.0, 2000.0])
def test_the_automatic_stop_is_near_the_best(sample: str, peak: float) -> None:
    truth, _, image = scene(sample, peak=peak, side=160)
    errors = errors_of(image, truth, background=BACKGROUND)
    result = automatic_stop(image, PSF, background=BACKGROUND, rng=0)
    assert nrmse(result.restored, truth) == pytest.approx(errors[result.iterations - 1], rel=1e-4)
    assert nrmse(result.restored, truth) < 1.1 * min(errors)  # 5 % is the rule, not the limit: see the benchmark


def test_more_photons_bear_more_iterations() -> None:
    found = [
        automatic_stop(scene(peak=peak)[2], PSF, background=BACKGROUND, rng=0).iterations for peak in (5, 50, 5000)
    ]
    assert found[0] < found[1] < found[2]


def test_all_photons_are_restored_for_the_number_found() -> None:
    _, _, image = scene()
    result = automatic_stop(image, PSF, background=BACKGROUND, rng=0)
    again = automatic_stop(image, PSF, background=BACKGROUND, rng=0)
    assert result.iterations == int(result.scores.argmax())
    assert len(result.scores) == result.iterations + 6
    direct = accelerated_richardson_lucy(image, PSF, iterations=result.iterations, background=BACKGROUND)
    assert torch.equal(result.restored, direct)
    assert torch.equal(again.scores, result.scores)
    assert torch.equal(again.restored, result.restored)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.iterations = 3


def test_other_methods_can_be_stopped() -> None:
    _, _, image = scene(peak=50.0)
    quick = automatic_stop(image, PSF, background=BACKGROUND, rng=0)
    plain = automatic_stop(image, PSF, method=richardson_lucy, background=BACKGROUND, rng=0)
    assert plain.iterations > 1.5 * quick.iterations
    seen: list[int] = []
    partial = functools.partial(richardson_lucy, callback=lambda number, _: seen.append(number))
    watched = automatic_stop(image, PSF, method=partial, background=BACKGROUND, rng=0)
    assert torch.equal(watched.restored, plain.restored)
    assert seen[-1] == plain.iterations


def test_a_method_may_repeat_what_it_is_called_with() -> None:
    _, _, image = scene(peak=50.0)
    same = functools.partial(richardson_lucy, background=BACKGROUND, boundary="circular")
    told = automatic_stop(image, PSF, method=same, background=BACKGROUND, boundary="circular", rng=0)
    plain = automatic_stop(image, PSF, method=richardson_lucy, background=BACKGROUND, boundary="circular", rng=0)
    assert torch.equal(told.restored, plain.restored)


def test_least_squares_can_be_stopped() -> None:
    truth, _, image = scene(peak=50.0)
    method = functools.partial(landweber, minimum=0.0)
    result = automatic_stop(image, PSF, method=method, background=BACKGROUND, rng=0)
    assert 1 < result.iterations < 200
    assert nrmse(result.restored, truth) < 0.6 * nrmse(image - BACKGROUND, truth)


def test_a_batch_stops_together_and_boundary_and_dtype_are_passed_on() -> None:
    images = torch.stack([scene(peak=peak)[2] for peak in (20.0, 40.0)]).double()
    background = torch.full((2, 1, 1), BACKGROUND, dtype=torch.float64)
    psf = PSF.double() / PSF.double().sum()
    result = automatic_stop(images, psf, background=background, boundary="circular", rng=0)
    direct = accelerated_richardson_lucy(
        images, psf, iterations=result.iterations, background=background, boundary="circular"
    )
    assert result.restored.dtype == torch.float64
    assert torch.equal(result.restored, direct)


def test_numbers_that_are_not_whole_are_rounded_for_the_choice_alone() -> None:
    _, _, image = scene()
    shifted = image + 0.3
    result = automatic_stop(shifted, PSF, background=BACKGROUND, rng=0)
    whole = automatic_stop(image, PSF, background=BACKGROUND, rng=0)
    assert torch.equal(result.scores, whole.scores)
    direct = accelerated_richardson_lucy(shifted, PSF, iterations=result.iterations, background=BACKGROUND)
    assert torch.equal(result.restored, direct)


def test_read_noise_whose_variance_is_added_splits_as_photons_do() -> None:
    read_noise_e = 2.0
    generator = torch.Generator().manual_seed(0)
    counts = torch.poisson(torch.full((1000, 1000), 6.0), generator=generator)
    camera = counts + read_noise_e * torch.randn(counts.shape, generator=generator)
    left, right = split_photons((camera + read_noise_e**2).clamp(min=0).round(), fraction=0.25, rng=0)
    assert abs(float(torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1])) < 0.006
    left, right = split_photons(camera.clamp(min=0).round(), fraction=0.25, rng=0)
    assert float(torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1]) > 0.1


def test_a_camera_with_read_noise() -> None:
    truth, _, image = scene(peak=50.0)
    noisy = image + 3.0 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    shifted, background = (noisy + 9.0).clamp(min=0), BACKGROUND + 9.0
    errors = errors_of(shifted, truth, background=background)
    result = automatic_stop(shifted, PSF, background=background, rng=0)
    assert nrmse(result.restored, truth) < 1.05 * min(errors)


def test_the_photons_kept_have_their_share_of_the_background() -> None:
    told: list[float] = []

    def method(image: torch.Tensor, psf: torch.Tensor, *, background: Any, **keywords: Any) -> torch.Tensor:
        told.append(float(background))
        return richardson_lucy(image, psf, background=background, **keywords)

    automatic_stop(scene()[2], PSF, method=method, background=BACKGROUND, held_out=0.2, rng=0)
    assert told == pytest.approx([0.8 * BACKGROUND, BACKGROUND])


def test_an_image_of_noise_alone_gets_one_iteration() -> None:
    image = torch.poisson(torch.full((32, 32), 20.0), generator=torch.Generator().manual_seed(0))
    result = automatic_stop(image, PSF, rng=0)
    assert int(result.scores.argmax()) == 0  # the even start is the best
    assert result.iterations == 1
    assert torch.equal(result.restored, accelerated_richardson_lucy(image, PSF, iterations=1))


def test_an_empty_image() -> None:
    result = automatic_stop(torch.zeros(16, 16), torch.ones(3, 3) / 9, rng=0)
    assert result.iterations == 1
    assert torch.equal(result.restored, torch.zeros(16, 16))


def test_a_score_that_rises_to_the_end() -> None:
    _, _, image = scene(peak=2000.0)
    with pytest.warns(UserWarning, match="ever better for all 4 iterations: raise most_iterations"):
        result = automatic_stop(image, PSF, background=BACKGROUND, most_iterations=4, rng=0)
    assert result.iterations == 4
    assert len(result.scores) == 5


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"image": torch.full((6, 7), 0.4)}, ValueError, "image reaches 0.4, but must be in photons detected"),
        ({"image": torch.full((6, 7), -1.0)}, ValueError, "image has 42 negative values"),
        ({"image": torch.ones(6, 7).int()}, TypeError, "image has dtype torch.int32"),
        ({"psf": torch.ones(3, 3)}, ValueError, "psf sums to 9"),
        ({"background": -1.0}, ValueError, "background is -1"),
        (
            {"image": torch.full((6, 7), 2.0**24)},
            ValueError,
            r"image reaches 1.67772e\+07 photons, but must stay below",
        ),
        ({"held_out": "a"}, TypeError, "held_out is 'a', but must be a number"),
        ({"held_out": True}, TypeError, "held_out is True, but must be a number"),
        ({"method": wiener}, TypeError, "method is wiener, which does not take iterations, stop, so that it cannot"),
        (
            {"method": functools.partial(tikhonov, regularization=0.1)},
            TypeError,
            "method is tikhonov, which does not take iterations, stop",
        ),
        (
            {"method": functools.partial(richardson_lucy, iterations=3)},
            ValueError,
            "method has iterations of its own, .*pass most_iterations",
        ),
        (
            {"method": functools.partial(richardson_lucy, stop=RelativeChange(0.1))},
            ValueError,
            "method has stop of its own, .*leave it",
        ),
        (
            {"method": functools.partial(richardson_lucy, background=2.0)},
            ValueError,
            r"method has background=2.0, but would be called with background=0.0: take background out of",
        ),
        (
            {"method": functools.partial(richardson_lucy, boundary="circular")},
            ValueError,
            "method has boundary='circular', but would be called with boundary='linear'",
        ),
        ({"held_out": 1.0}, ValueError, "held_out is 1, but must be between 0 and 1, for example 0.25"),
        ({"held_out": 0.0}, ValueError, "held_out is 0, but must be between 0 and 1"),
        ({"splits": 0}, ValueError, "splits is 0, but must be at least 1"),
        ({"most_iterations": 0}, ValueError, "most_iterations is 0, but must be at least 1"),
        ({"patience": 0}, ValueError, "patience is 0, but must be at least 1"),
        ({"rng": -1}, ValueError, "rng is -1, but a seed"),
    ],
)
def test_bad_input(values: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"image": torch.ones(6, 7), "psf": torch.ones(3, 3) / 9, "rng": 0} | values
    with pytest.raises(error, match=message):
        automatic_stop(given.pop("image"), given.pop("psf"), **given)


@pytest.mark.gpu
def test_cuda_scores_as_the_cpu_does() -> None:
    _, mean, image = scene()
    on_cpu, on_cuda = HeldOutPhotons(image, PSF, share=0.25), HeldOutPhotons(image.cuda(), PSF.cuda(), share=0.25)
    on_cpu(0, mean, 3 * mean)
    on_cuda(0, mean.cuda(), 3 * mean.cuda())
    assert on_cuda.scores == pytest.approx(on_cpu.scores, rel=1e-5)
    result = automatic_stop(image.cuda(), PSF.cuda(), background=BACKGROUND, rng=0)
    assert result.restored.device.type == "cuda"
