"""The numbers in the folded answer to the tasks of the live figure in the chapter on CARE."""

from typing import Any

import pytest

from course_lib import live
from course_lib.live.figures.care_domain import FIGURE

pytestmark = pytest.mark.usefixtures("one_thread")


def worth(**values: Any) -> tuple[float, float]:
    """Return what network and filter are worth, in times the photons."""
    shown = live.evaluate(FIGURE, values)
    return float(shown["gain"]), float(shown["gain_of_filter"])


def test_one_the_network_is_ahead_at_the_doses_that_it_learned() -> None:
    assert worth(photons=10.0) == pytest.approx((19, 9), abs=0.5)
    assert worth(photons=100.0) == pytest.approx((13, 3.5), abs=0.5)
    assert worth(photons=1.0) == pytest.approx((22, 24), abs=0.5)


def test_two_nuclei_are_out_of_its_domain() -> None:
    assert worth(photons=10.0, unseen_percent=100.0) == pytest.approx((16, 20), abs=0.5)
    assert worth(photons=100.0, unseen_percent=100.0) == pytest.approx((10, 7), abs=0.5)


def test_three_an_offset_harms_the_network_alone() -> None:
    shown = live.evaluate(FIGURE, {"photons": 10.0, "offset_photons": 5.0})
    assert float(shown["gain"]) == pytest.approx(3.3, abs=0.3)
    assert float(shown["gain_of_filter"]) == pytest.approx(worth(photons=10.0)[1], rel=1e-6)
    assert float(shown["bright_percent"]) == pytest.approx(85, abs=1)
