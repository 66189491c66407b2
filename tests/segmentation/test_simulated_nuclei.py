"""Images to learn from that nobody had to draw: varied, repeatable, and true to their labels."""

import numpy as np
import pytest
import torch

from course_lib.segmentation import NucleiVariety, simulated_nuclei

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("shape", [(96, 128), (12, 64, 64)])
def test_images_are_counts_and_labels_are_numbered_from_1(shape: tuple[int, ...]) -> None:
    for photons, labels in simulated_nuclei(4, shape, rng=0):
        assert photons.shape == labels.shape == shape
        assert torch.equal(photons, photons.round())
        assert float(photons.min()) >= 0
        assert labels.dtype == np.int32
        assert np.array_equal(np.unique(labels[labels > 0]), np.arange(1, labels.max() + 1))


def test_the_same_seed_gives_the_same_images_and_each_image_is_another_one() -> None:
    first, again = (list(simulated_nuclei(3, (64, 64), rng=5)) for _ in range(2))
    for (photons, labels), (same, same_labels) in zip(first, again, strict=True):
        assert torch.equal(photons, same)
        assert np.array_equal(labels, same_labels)
    assert not torch.equal(first[0][0], first[1][0])


def test_nuclei_are_brighter_than_what_lies_between() -> None:
    """Haze and slopes blur the contrast, but in every image the nuclei have more photons on average."""
    for photons, labels in simulated_nuclei(12, (96, 96), rng=1):
        inside = torch.from_numpy(labels > 0)
        assert float(photons[inside].mean()) > 1.2 * float(photons[~inside].mean())


def test_diameters_keep_to_their_range() -> None:
    """A nucleus of mean size has the area of its diameter; sizes spread by 12 %, and borders cut some."""
    variety = NucleiVariety(smallest_diameter_px=20.0, largest_diameter_px=20.0, largest_cover=0.2)
    areas = np.concatenate(
        [np.bincount(labels.ravel())[1:] for _, labels in simulated_nuclei(10, (160, 160), variety=variety, rng=2)]
    )
    assert np.median(np.sqrt(4 / np.pi * areas)) == pytest.approx(20, rel=0.08)


def test_photons_keep_to_their_range() -> None:
    variety = NucleiVariety(fewest_photons=100.0, most_photons=100.0)
    for photons, labels in simulated_nuclei(6, (96, 96), variety=variety, rng=3):
        assert 60 < float(torch.quantile(photons, 0.999)) < 190
        assert labels.any()


def test_a_crowded_field_takes_as_many_nuclei_as_find_room() -> None:
    variety = NucleiVariety(smallest_diameter_px=30.0, largest_diameter_px=30.0, largest_cover=0.6)
    (_, labels), *_ = simulated_nuclei(8, (64, 64), variety=variety, rng=4)
    assert 1 <= labels.max() <= 10


def test_ranges_that_are_upside_down_are_refused() -> None:
    with pytest.raises(ValueError, match=r"diameters are 60 to 50 pixels .* the smaller number must come first"):
        next(simulated_nuclei(1, (64, 64), variety=NucleiVariety(smallest_diameter_px=60.0), rng=0))
