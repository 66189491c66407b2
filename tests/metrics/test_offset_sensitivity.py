"""What carries constants through has no sensitivity; what does not, has the one that theory says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.metrics import offset_sensitivity
from course_lib.noise2void.classical import gaussian


def noisy(*shape: int) -> torch.Tensor:
    return torch.poisson(torch.full(shape, 9.0), generator=torch.Generator().manual_seed(0))


@given(offset=st.floats(0.1, 100), sigma=st.floats(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_filter_with_sum_one_has_none(offset, sigma):
    found = offset_sensitivity(lambda image: gaussian(image, sigma=sigma), noisy(24, 32).double(), offset=offset)
    assert float(found) < 1e-6 * offset


def test_a_gain_that_is_not_one_shows_by_the_offset_alone():
    found = offset_sensitivity(lambda image: 1.2 * image, noisy(24, 32), offset=5.0)
    assert float(found) == pytest.approx(1.0, rel=1e-5)
    assert float(offset_sensitivity(lambda image: 1.2 * image, noisy(24, 32), offset=-5.0)) == pytest.approx(
        1, rel=1e-5
    )


def test_half_of_the_pixels_change():
    def halved(image: torch.Tensor) -> torch.Tensor:
        return torch.where(torch.arange(32) < 16, image, torch.zeros_like(image))

    assert float(offset_sensitivity(halved, noisy(24, 32), offset=4.0)) == pytest.approx(4 / 2**0.5, rel=1e-6)


def test_batches_and_stacks():
    images = noisy(2, 3, 16, 16)
    assert offset_sensitivity(torch.sqrt, images, offset=2.0).shape == (2, 3)
    assert offset_sensitivity(torch.sqrt, images, offset=2.0, dimensions=3).shape == (2,)
    one = offset_sensitivity(torch.sqrt, images[1, 2], offset=2.0)
    torch.testing.assert_close(offset_sensitivity(torch.sqrt, images, offset=2.0)[1, 2], one, rtol=1e-12, atol=0)


@pytest.mark.parametrize("offset", [0.0, float("inf"), float("nan")])
def test_no_offset_is_no_test(offset):
    with pytest.raises(ValueError, match="must be finite and not 0"):
        offset_sensitivity(torch.sqrt, noisy(16, 16), offset=offset)


def test_other_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"restore returned shape \(8, 16\) for an image of shape \(16, 16\)"):
        offset_sensitivity(lambda image: image[:8], noisy(16, 16), offset=1.0)
    with pytest.raises(ValueError, match=r"dimensions is 4, but must be 2 \(images\) or 3 \(stacks\)"):
        offset_sensitivity(torch.sqrt, noisy(16, 16), offset=1.0, dimensions=4)


def test_a_restoration_that_writes_into_its_input_changes_nothing_of_it() -> None:
    image = torch.full((8, 8), 4.0)
    assert float(offset_sensitivity(lambda y: y.mul_(0.5), image, offset=5.0)) == pytest.approx(2.5)
    assert bool((image == 4.0).all())


def test_a_restoration_that_gives_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        offset_sensitivity(lambda y: y / 0, torch.zeros(8, 8), offset=1.0)
