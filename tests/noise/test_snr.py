import pytest
import torch

from course_lib.noise import Camera, snr


@pytest.mark.parametrize(
    ("photons", "background", "expected"), [(10, 0, 2.82), (10, 50, 1.26), (100, 0, 9.87), (1000, 0, 31.6)]
)
def test_numbers_of_the_facts(photons: float, background: float, expected: float) -> None:
    assert snr(photons, background_photons=background, read_noise_e=1.6) == pytest.approx(
        expected, abs=0.05 if expected > 30 else 0.005
    )


def test_splitting_a_dose() -> None:
    values = [snr(30.0, read_noise_e=1.6, frames=n) for n in (1, 10, 50)]
    assert values == pytest.approx([5.26, 4.02, 2.39], abs=0.005)


def test_formula_is_what_a_camera_shows() -> None:
    camera = Camera(quantum_efficiency=1.0, dark_current_e_per_s=20.0, read_noise_e=4.0, gain_e_per_adu=0.2)
    cell, background = 60.0, 40.0
    adu = camera.capture(torch.full((1000, 1000), cell + background), rng=0)
    electrons = camera.to_photons(adu).double() - background
    measured = float(electrons.mean() / electrons.std())
    formula = snr(cell, background_photons=background, dark_e=2.0, read_noise_e=4.0)
    assert measured == pytest.approx(formula, rel=0.005)


def test_emccd_pays_excess_noise_and_is_freed_of_read_noise() -> None:
    camera = Camera(
        quantum_efficiency=1.0, dark_current_e_per_s=0.0, em_gain=300.0, read_noise_e=50.0, gain_e_per_adu=5.0
    )
    photons = camera.to_photons(camera.capture(torch.full((1000, 1000), 5.0), rng=0)).double()
    measured = float(photons.mean() / photons.std())
    assert measured == pytest.approx(snr(5.0, read_noise_e=50 / 300, excess_noise_factor=2.0), rel=0.01)


def test_tensors_give_tensors() -> None:
    values = snr(torch.tensor([0.0, 100.0]), read_noise_e=1.0)
    assert values.tolist() == pytest.approx([0.0, 100 / 101**0.5])


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"background_photons is -3, but must be at least 0 and finite"):
        snr(10.0, background_photons=-3.0)
    with pytest.raises(ValueError, match=r"photons is nan"):
        snr(float("nan"))
    with pytest.raises(ValueError, match=r"frames is 0, but must be at least 1"):
        snr(10.0, frames=0)
    with pytest.raises(ValueError, match=r"excess_noise_factor is -1, but must be at least 1"):
        snr(10.0, excess_noise_factor=-1.0)


def test_no_light_is_no_signal() -> None:
    assert snr(0.0) == 0.0
    assert float(snr(torch.tensor(0.0))) == 0.0
