"""What every PSF model must do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.optics import (
    airy_psf,
    confocal_psf,
    gaussian_psf,
    gibson_lanni_psf,
    two_photon_psf,
    vectorial_psf,
)

WIDEFIELD = (gaussian_psf, airy_psf, gibson_lanni_psf, vectorial_psf)
MODELS = (*WIDEFIELD, confocal_psf, two_photon_psf)


@pytest.mark.parametrize("model", MODELS)
@given(shape=st.tuples(st.integers(1, 9), st.integers(4, 24), st.integers(4, 24)))
@settings(max_examples=10, deadline=None)
def test_sum_is_one_and_the_centre_is_at_half_the_size(model, shape, suited):
    psf = model(suited(model), shape=shape, voxel_size_um=(0.12, 0.04, 0.04))
    assert psf.shape == shape
    assert psf.dtype == torch.float32
    assert float(psf.double().sum()) == pytest.approx(1, abs=1e-5)
    assert float(psf.min()) >= 0
    brightest = [int(i) for i in torch.unravel_index(psf.argmax(), shape)]
    assert brightest == [side // 2 for side in shape]


@pytest.mark.parametrize("model", MODELS)
def test_odd_shapes_are_mirror_images_of_themselves(model, suited):
    psf = model(suited(model), shape=(9, 21, 17), voxel_size_um=(0.12, 0.04, 0.03))
    for axis in range(3):
        torch.testing.assert_close(psf, psf.flip(axis), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_even_shapes_are_the_odd_ones_without_the_last_planes(model, suited):
    odd = model(suited(model), shape=(9, 21, 21), voxel_size_um=(0.12, 0.04, 0.04))
    even = model(suited(model), shape=(8, 20, 20), voxel_size_um=(0.12, 0.04, 0.04))
    cut = odd[:-1, :-1, :-1]
    torch.testing.assert_close(even, cut / cut.sum(), rtol=2e-3, atol=1e-7)


@pytest.mark.parametrize("model", MODELS)
def test_one_plane_is_the_focal_plane_of_the_stack(model, suited):
    stack = model(suited(model), shape=(3, 21, 21), voxel_size_um=(0.1, 0.04, 0.04))
    plane = model(suited(model), shape=(21, 21), voxel_size_um=(0.04, 0.04))
    torch.testing.assert_close(stack[1] / stack[1].sum(), plane, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("model", WIDEFIELD)
def test_pixel_integration_is_the_mean_over_fine_samples(model, oil):
    coarse = model(oil, shape=(15, 15), voxel_size_um=(0.09, 0.09), points_per_pixel=3).double()
    fine = model(oil, shape=(15 * 9, 15 * 9), voxel_size_um=(0.01, 0.01)).double()
    binned = fine.view(15, 9, 15, 9).sum(dim=(1, 3))
    assert float((coarse - binned).norm() / binned.norm()) < 2e-3
    sampled = model(oil, shape=(15, 15), voxel_size_um=(0.09, 0.09)).double()
    assert float((sampled - binned).norm() / binned.norm()) > 2e-2


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("shape", "voxel", "message"),
    [
        ((8,), (0.1,), r"both must be \(y, x\) or both \(z, y, x\)"),
        ((8, 8, 8), (0.1, 0.1), r"both must be \(y, x\) or both \(z, y, x\)"),
        ((8, 0, 8), (0.1, 0.04, 0.04), "shape is 0 voxels, but must be at least 1"),
        ((8, 7.5, 8), (0.1, 0.04, 0.04), "whole number"),
        ((8, 8, 8), (0.1, -0.05, 0.05), r"voxel_size_um is -0\.05 µm"),
        ((8, 8, 8), (float("nan"), 0.05, 0.05), "voxel_size_um is nan"),
    ],
)
def test_shapes_and_voxels_that_cannot_be_are_named(model, shape, voxel, message, suited):
    with pytest.raises(ValueError, match=message):
        model(suited(model), shape=shape, voxel_size_um=voxel)


@pytest.mark.parametrize("model", MODELS)
def test_a_voxel_above_nyquist_is_warned_of(model, suited):
    with pytest.warns(UserWarning, match=r"0\.2 µm along x, above the Nyquist limit of 0\.\d+ µm"):
        model(suited(model), shape=(9, 9), voxel_size_um=(0.04, 0.2))
    with pytest.warns(UserWarning, match=r"0\.5 µm along z"):
        model(suited(model), shape=(5, 9, 9), voxel_size_um=(0.5, 0.04, 0.04))


@pytest.mark.parametrize("model", MODELS)
def test_it_is_differentiable_in_the_microscope(model, suited):
    """Finite differences agree with autograd in aperture, wavelength, index and depth."""
    base = suited(model).to(dtype=torch.float64)
    names = ["numerical_aperture", "immersion_index"]
    names.append("excitation_wavelength_nm" if model is two_photon_psf else "emission_wavelength_nm")
    if model in (gibson_lanni_psf, vectorial_psf, confocal_psf):
        base = base.replace(sample_index=torch.tensor(1.45, dtype=torch.float64), depth_um=torch.tensor(2.0).double())
        names += ["sample_index", "depth_um", "coverslip_error_um"]

    def psf(*values):
        return model(
            base.replace(**dict(zip(names, values, strict=True))), shape=(3, 4, 5), voxel_size_um=(0.1, 0.04, 0.04)
        )

    values = [getattr(base, name).clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(psf, values, eps=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", [airy_psf, gibson_lanni_psf, vectorial_psf])
def test_single_precision_is_enough(model, oil):
    options = {"shape": (16, 63, 63), "voxel_size_um": (0.2, 0.06, 0.06)}
    single, double = model(oil, **options), model(oil.to(dtype=torch.float64), **options)
    assert float((single - double).norm() / double.norm()) < 2e-6
