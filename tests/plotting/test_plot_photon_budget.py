import io

import pytest

from course_lib.plotting import photon_budget

steps = {"absorbed": 5000.0, "emitted": 3000.0, "collected": 840.0}


def test_each_step_is_a_bar_with_its_number_and_the_share_it_kept():
    figure = photon_budget(steps, x_label="photons per molecule", title="one molecule")
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_title(), axes.get_xlim()[0]) == ("photons per molecule", "one molecule", 0)
    assert [bar.get_width() for bar in axes.patches] == list(steps.values())
    assert [label.get_text() for label in axes.get_yticklabels()] == list(steps)
    assert [text.get_text() for text in axes.texts] == ["5,000", "3,000  (60 %)", "840  (28 %)"]


def test_the_light_goes_down_the_page():
    axes = photon_budget(steps).axes[0]
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_a_step_without_loss_says_so_in_plain_digits():
    assert photon_budget({"a": 0.05, "b": 0.05}).axes[0].texts[1].get_text() == "0.0500  (100 %)"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({}, "steps is empty, but must hold at least one"),
        ({"a": 1.0, "b": 0.0}, "step 'b' has 0 photons, but must have more than 0"),
        ({"a": float("nan")}, "steps has 1 values that are NaN or infinite"),
    ],
)
def test_bad_input_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        photon_budget(bad)
