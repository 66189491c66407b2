"""Running a live figure with torch."""

import pytest
import torch

from course_lib import live
from course_lib.live.run import advance, check_values, initial_state

CPU = torch.device("cpu")


def test_the_same_seed_gives_the_same_picture_and_another_another(blurred: live.LiveFigure) -> None:
    first, again, other = (live.evaluate(blurred, seed=seed)["image"] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_value_left_out_has_its_default(blurred: live.LiveFigure) -> None:
    assert check_values(blurred, {"photons": 7}) == {"width_px": 2.0, "photons": 7, "levels": 64, "shape": "gauss"}


def test_a_choice_reaches_the_function(blurred: live.LiveFigure) -> None:
    gauss, lorentz = (live.evaluate(blurred, {"shape": word})["image"] for word in ("gauss", "lorentz"))
    assert not torch.allclose(gauss, lorentz)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"photons": -1.0}, "photons is -1 photons, but must be at least 0 photons"),
        ({"photons": float("nan")}, "photons is nan photons, but must be at least 0 photons"),
        ({"levels": 2.5}, "levels is 2.5, but must be a whole number"),
        ({"shape": "box"}, "shape is 'box', but must be one of 'gauss', 'lorentz'"),
        ({"hidden": 1.0}, "'hidden' is no slider of live figure 'blur': it has width_px, photons, levels, shape"),
    ],
)
def test_values_outside_their_limits(blurred: live.LiveFigure, values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        live.evaluate(blurred, values)


def test_outputs_are_float32_whatever_the_function_returns(blurred: live.LiveFigure) -> None:
    assert {tensor.dtype for tensor in live.evaluate(blurred).values()} == {torch.float32}


def test_the_average_of_n_frames_is_n_times_quieter(averaged: live.LiveFigure) -> None:
    outputs = live.evaluate(averaged, {"frames": 16, "noise": 2.0})
    assert float(outputs["taken"]) == 16
    expected = 2.0 / 4
    assert float(outputs["spread"]) == pytest.approx(expected, abs=4 * expected / (2 * 32 * 32) ** 0.5)


def test_steps_may_be_taken_in_any_portions(averaged: live.LiveFigure) -> None:
    values = check_values(averaged, {"frames": 9})
    state = initial_state(averaged, values=values, seed=5, device=CPU)
    outputs: live.Tensors = {}
    for first, last in ((0, 1), (1, 6), (6, 9)):
        state, outputs = advance(averaged, values=values, seed=5, state=state, first=first, last=last, device=CPU)
    assert torch.equal(outputs["mean"], live.evaluate(averaged, {"frames": 9}, seed=5)["mean"])


@pytest.mark.gpu
def test_the_gpu_shows_what_the_cpu_shows(blurred: live.LiveFigure, averaged: live.LiveFigure) -> None:
    for figure in (blurred, averaged, *live.list_figures()):
        there, here = live.evaluate(figure, device="cuda"), live.evaluate(figure)
        for name, expected in here.items():
            span = float(expected.max() - expected.min()) or 1.0
            assert float((there[name] - expected).abs().max()) <= 1e-3 * max(span, float(expected.abs().max())), name
