import argparse
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.parameters import ParameterError, Parameters, add_arguments, from_arguments, parameter


class Lamp(Parameters):
    power_mw: float = parameter(
        default=1.0, meaning="power", unit="mW", minimum=0.0, maximum=50.0, slider=(0.1, 50.0), scale="log"
    )
    pulses: int = parameter(default=3, meaning="pulses", minimum=1)
    floor_mw: float = parameter(default=0.0, meaning="floor", unit="mW", maximum=1.0)
    shift: float = parameter(default=0.0, meaning="shift", unit="µm")
    profile: object = parameter(default=1.0, meaning="profile", minimum=0, per_pixel=True)
    color: str = parameter(default="blue", meaning="colour", choices=("blue", "green"))


@given(power=st.floats(allow_nan=True, allow_infinity=True))
def test_a_value_is_accepted_exactly_where_it_is_within_the_limits(power: float) -> None:
    if 0 <= power <= 50:
        assert Lamp(power_mw=power).power_mw == power
    else:
        with pytest.raises(ParameterError, match=r"power_mw is .* mW, but must be from 0 to 50 mW: power\."):
            Lamp(power_mw=power)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pulses": 0}, r"pulses is 0, but must be at least 1: pulses\."),
        ({"pulses": 1.5}, r"pulses is 1.5, but must be a whole number: pulses\."),
        ({"floor_mw": 2.0}, r"floor_mw is 2 mW, but must be at most 1 mW: floor\."),
        ({"shift": float("inf")}, r"shift is inf µm, but must be a finite number in µm: shift\."),
        ({"color": "red"}, r"color is 'red', but must be one of 'blue', 'green': colour\."),
        ({"power_mw": None}, r"power_mw is None, but must be from 0 to 50 mW"),
        ({"power_mw": "5"}, r"power_mw is '5', but must be from 0 to 50 mW"),
        (
            {"power_mw": torch.ones(2)},
            r"power_mw is a Tensor of shape \(2,\), but must be one number, from 0 to 50 mW\.",
        ),
        ({"profile": torch.tensor([1.0, float("nan")])}, r"profile is a map with an element nan"),
        ({"profile": np.ones((2, 2))}, r"profile is a ndarray of shape \(2, 2\), .* or a tensor of such values"),
    ],
)
def test_messages_name_value_limit_and_meaning(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Lamp(**changes)


def test_configurations_are_frozen_keyword_only_and_copied_with_a_check() -> None:
    lamp = Lamp()
    with pytest.raises(dataclasses.FrozenInstanceError):
        lamp.power_mw = 2.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        Lamp(2.0)  # type: ignore[misc]
    assert lamp.replace(pulses=5).pulses == 5
    with pytest.raises(ParameterError, match="pulses is -1"):
        lamp.replace(pulses=-1)


def test_one_declaration_makes_the_flags() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser, Lamp)
    assert from_arguments(Lamp, vars(parser.parse_args([]))).power_mw == 1.0
    made = from_arguments(Lamp, vars(parser.parse_args(["--power-mw", "7", "--pulses", "2", "--color", "green"])))
    assert (made.power_mw, made.pulses, made.color) == (7.0, 2, "green")
    shown = " ".join(parser.format_help().split())
    assert "power; from 0 to 50 mW (default 1 mW)" in shown
    with pytest.raises(ParameterError, match="power_mw is 51 mW"):
        from_arguments(Lamp, vars(parser.parse_args(["--power-mw", "51"])))


def test_declarations_can_be_listed() -> None:
    first = Lamp.declared()[0]
    assert (first.name, first.default, first.slider, first.scale) == ("power_mw", 1.0, (0.1, 50.0), "log")
