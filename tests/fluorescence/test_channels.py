import pytest
import torch

from course_lib.fluorescence import (
    Channel,
    bleed_through,
    channel_brightness,
    filter_set,
    fluorophore,
    laser,
    photon_budget,
    unmix,
)

DYES = [fluorophore(name) for name in ("DAPI", "EGFP", "mCherry", "Alexa 647")]
LINES = {405: "confocal 405", 488: "confocal 488", 561: "confocal 561", 633: "confocal 633"}
CHANNELS = [Channel(laser(wavelength_nm=line, power_mw=1.0), filter_set(name)) for line, name in LINES.items()]


def test_brightness_is_that_of_the_photon_budget() -> None:
    brightness = channel_brightness(DYES[1:2], CHANNELS[1:2])
    budget = photon_budget(
        DYES[1],
        CHANNELS[1].source,
        filters=CHANNELS[1].filters,
        exposure_ms=1e-3,
        objective_transmission=1.0,
    )
    collected = budget.collected / budget.emitted
    assert float(brightness[0, 0]) == pytest.approx(budget.transmitted / collected / 1e-6, rel=1e-4)


def test_each_dye_is_brightest_in_its_own_channel() -> None:
    matrix = bleed_through(DYES, CHANNELS)
    assert matrix.shape == (4, 4)
    assert matrix.argmax(dim=0).tolist() == [0, 1, 2, 3]
    assert matrix.diagonal().tolist() == [1.0] * 4
    assert bool((matrix >= 0).all())


def test_power_scales_rows_of_brightness() -> None:
    strong = [Channel(laser(wavelength_nm=488, power_mw=3.0), CHANNELS[1].filters)]
    assert torch.allclose(channel_brightness(DYES, strong), 3 * channel_brightness(DYES, CHANNELS[1:2]))


def test_unmixing_inverts_bleed_through() -> None:
    blue = laser(wavelength_nm=488, power_mw=1.0)
    channels = [Channel(blue, filter_set(name)) for name in ("confocal 488", "confocal 561", "confocal 633")]
    matrix = bleed_through([fluorophore("EGFP"), fluorophore("Alexa 568")], channels)
    truth = torch.rand(2, 5, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = torch.einsum("cf,f...->c...", matrix, truth)
    assert torch.allclose(unmix(images, matrix=matrix), truth)


def test_unmixing_noise_is_unbiased_and_grows_with_the_likeness_of_the_dyes() -> None:
    truth = torch.tensor([400.0, 400.0])
    spread = {}
    for leak in (0.1, 0.7):
        matrix = torch.tensor([[1.0, leak], [leak, 1.0]])
        mean = (matrix @ truth)[:, None].expand(2, 40_000)
        found = unmix(torch.poisson(mean, generator=torch.Generator().manual_seed(0)), matrix=matrix)
        spread[leak] = float(found[0].std())
        assert float(found[0].mean()) == pytest.approx(400, abs=4 * spread[leak] / 200)
        inverse = torch.linalg.inv(matrix)
        assert spread[leak] == pytest.approx(float((inverse[0] ** 2 * mean[:, 0]).sum()) ** 0.5, rel=0.02)
    assert spread[0.7] > 2 * spread[0.1]


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match=r"images has dtype torch.int64, but must be floating: images.float\(\)"):
        unmix(torch.ones(2, 4, 4, dtype=torch.int64), matrix=torch.eye(2))


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"matrix is a list, but must be a tensor"):
        unmix(torch.ones(2, 4, 4), matrix=[[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(TypeError, match=r"images is a NoneType, but must be a tensor"):
        unmix(None, matrix=torch.eye(2))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: bleed_through([], CHANNELS), r"got 0 fluorophores and 4 channels, but need at least one of each"),
        (lambda: bleed_through(DYES, []), r"got 4 fluorophores and 0 channels"),
        (lambda: bleed_through(DYES, CHANNELS[3:]), r"no channel sees DAPI: leave it out, or add a channel"),
        (
            lambda: bleed_through(DYES, [Channel(laser(wavelength_nm=640, power_mw=1.0), filter_set("GFP"))]),
            r"filter set 'GFP' passes nothing of the 640 nm laser",
        ),
        (
            lambda: unmix(torch.ones(2, 4, 4), matrix=torch.tensor([[1.0, float("nan")], [0.0, 1.0]])),
            r"matrix has values that are NaN or infinite",
        ),
        (lambda: unmix(torch.full((2, 4, 4), float("inf")), matrix=torch.eye(2)), r"images has values that are NaN or"),
        (lambda: unmix(torch.ones(3, 4, 4), matrix=torch.eye(2)), r"images has shape \(3, 4, 4\) and matrix \(2, 2\)"),
        (lambda: unmix(torch.ones(2, 4, 4), matrix=torch.ones(2, 2)), r"cannot tell its dyes apart"),
        (lambda: unmix(torch.ones(1, 4, 4), matrix=torch.ones(1, 2)), r"matrix of shape \(1, 2\) cannot tell"),
    ],
)
def test_bad_input_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
