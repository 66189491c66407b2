import numpy as np
import pytest
import torch

from course_lib import metrics
from course_lib.plotting import autocorrelation, autocorrelations

rho = np.array([[-0.1, 0.48, 0.002], [0.17, 1.0, 0.17], [-0.002, 0.48, -0.1]])


def test_numbers_stand_where_their_lags_are():
    axes = autocorrelation(rho, title="rows").axes[0]
    numbers = {text.get_position(): text.get_text() for text in axes.texts}
    assert numbers[0, 0] == "1"
    assert numbers[0, 1] == "0.48"  # down
    assert numbers[1, 0] == "0.17"  # right
    assert numbers[-1, -1] == "−0.10"
    assert numbers[-1, 1] == "0.00"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("lag right (px)", "lag down (px)")
    assert axes.get_title() == "rows"


def test_the_picture_agrees_with_the_numbers():
    axes = autocorrelation(rho).axes[0]
    (picture,) = axes.images
    assert tuple(picture.get_extent()) == (-1.5, 1.5, 1.5, -1.5)
    assert picture.get_clim() == (-0.48, 0.48)
    assert picture.get_array().mask.sum() == 1
    assert picture.get_array().mask[1, 1]


def test_numbers_are_white_on_dark_cells_only():
    axes = autocorrelation(rho).axes[0]
    colours = {text.get_position(): text.get_color() for text in axes.texts}
    assert colours[0, 1] == "white"
    assert colours[1, 0] == colours[0, 0] == "black"


def test_white_noise_stays_pale():
    white = torch.randn(200, 200, generator=torch.Generator().manual_seed(0))
    (picture,) = autocorrelation(metrics.autocorrelation(white, max_lag=3)).axes[0].images
    assert picture.get_clim() == (-0.05, 0.05)


def test_large_maps_have_no_numbers():
    large = np.zeros((11, 11))
    large[5, 5] = 1
    figure = autocorrelation(large)
    assert not figure.axes[0].texts
    assert figure.axes[1].get_ylabel() == "autocorrelation ρ"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.ones((1, 1)), r"rho has shape \(1, 1\), but must be square with an odd side of at least 3"),
        (np.ones((4, 4)), r"rho has shape \(4, 4\), but must be square"),
        (np.ones((3, 5)), r"rho has shape \(3, 5\), but must be square"),
        (np.ones((2, 3, 3)), r"rho has shape \(2, 3, 3\), but must be square.*mean over fields"),
        (np.zeros((3, 3)), "rho is 0 at its centre, but must be 1 there"),
        (np.full((3, 3), np.nan), "rho has 9 values that are NaN or infinite"),
    ],
)
def test_bad_maps_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        autocorrelation(bad)


def test_several_maps_share_one_scale_of_colours() -> None:
    weak, strong = np.zeros((3, 3)), np.full((3, 3), 0.4)
    weak[1, 1] = strong[1, 1] = 1.0
    figure = autocorrelations({"weak": weak, "strong": strong})
    limits = [axes.images[0].get_clim() for axes in figure.axes[:2]]
    assert limits == [(-0.4, 0.4), (-0.4, 0.4)]
    assert [axes.get_title() for axes in figure.axes[:2]] == ["weak", "strong"]
    assert len(figure.axes) == 3


def test_no_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="maps is empty, but must hold at least one map"):
        autocorrelations({})
