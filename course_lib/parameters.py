"""Declare a physical parameter once; get its check, its slider and its command-line flag.

A configuration is a frozen, keyword-only dataclass that inherits from `Parameters` and whose fields are
made by `parameter`. The declaration carries default, unit, limits and meaning, and everything that needs
to know them reads them from there:

* constructing the configuration checks every value and names the value, the limit and the remedy,
* `course_lib.live` makes a slider from the ``slider`` range,
* `add_arguments` makes a command-line flag.
"""

import argparse
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar, dataclass_transform

__all__ = ["Parameter", "ParameterError", "Parameters", "add_arguments", "from_arguments", "parameter"]


class ParameterError(ValueError):
    """A parameter is outside its limits; the message names the value, the limit and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What is known of one parameter.

    Attributes
    ----------
    name : str
        Name of the field, with its unit where that is not obvious.
    default : float, int or str
        Value used when none is given.
    meaning : str
        One phrase for people: the slider's label and the flag's help.
    unit : str
        Unit as printed, for example ``"e⁻"``; empty for pure numbers.
    minimum, maximum : float or None
        Hard limits, both allowed; None means no limit.
    slider : tuple of float or None
        The useful range (low, high); None when the parameter has no slider.
    step : float or None
        Step of the slider; None lets the scale decide.
    scale : {"linear", "log"}
        How the slider spreads its range.
    choices : tuple of str
        Allowed words of a parameter that is a word.
    per_pixel : bool
        Whether a tensor with one value a pixel is allowed, too.
    """

    name: str
    default: Any
    meaning: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    slider: tuple[float, float] | None = None
    step: float | None = None
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[str, ...] = ()
    per_pixel: bool = False

    @property
    def limits(self) -> str:
        """The allowed values in words, for messages."""
        unit = f" {self.unit}" if self.unit else ""
        if self.choices:
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        if self.minimum is not None and self.maximum is not None:
            return f"from {self.minimum:g} to {self.maximum:g}{unit}"
        if self.minimum is not None:
            return f"at least {self.minimum:g}{unit}"
        if self.maximum is not None:
            return f"at most {self.maximum:g}{unit}"
        return f"a finite number{unit and f' in{unit}'}"

    def check(self, value: Any) -> None:
        """Raise `ParameterError` unless `value` is allowed.

        A tensor or array (a per-pixel map) is allowed where every one of its elements is.
        """
        if self.choices:
            if value not in self.choices:
                raise ParameterError(self._complaint(repr(value)))
            return
        if hasattr(value, "shape") and getattr(value, "ndim", 0) > 0:
            if not self.per_pixel or not hasattr(value, "numel"):
                shown = f"a {type(value).__name__} of shape {tuple(value.shape)}"
                remedy = " or a tensor of such values, one a pixel" if self.per_pixel else ""
                raise ParameterError(f"{self.name} is {shown}, but must be one number, {self.limits}{remedy}.")
            if math.prod(value.shape) == 0:
                raise ParameterError(f"{self.name} is a map without elements; pass one value a pixel.")
            # nan survives min and max in torch and NumPy, so the two extremes stand for every element
            for extreme in (float(value.min()), float(value.max())):
                self._check_number(extreme, shown=f"a map with an element {extreme:g}")
            return
        if hasattr(value, "detach"):
            value = value.detach()
        try:
            number = float(value) if not isinstance(value, str) else float("refused")
        except (TypeError, ValueError):
            raise ParameterError(self._complaint(repr(value))) from None
        self._check_number(number, shown=f"{number:g}{f' {self.unit}' if self.unit else ''}")
        if isinstance(self.default, int) and not isinstance(self.default, bool) and number != int(number):
            raise ParameterError(f"{self.name} is {number:g}, but must be a whole number: {self.meaning}.")

    def _check_number(self, number: float, *, shown: str) -> None:
        below = self.minimum is not None and number < self.minimum
        above = self.maximum is not None and number > self.maximum
        if not math.isfinite(number) or below or above:
            raise ParameterError(self._complaint(shown))

    def _complaint(self, shown: str) -> str:
        return f"{self.name} is {shown}, but must be {self.limits}: {self.meaning}."


def parameter(
    *,
    default: Any,
    meaning: str,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    slider: tuple[float, float] | None = None,
    step: float | None = None,
    scale: Literal["linear", "log"] = "linear",
    choices: tuple[str, ...] = (),
    per_pixel: bool = False,
) -> Any:
    """Declare a field of a `Parameters` class; the arguments are the attributes of `Parameter`."""
    declaration = {
        "meaning": meaning,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "slider": slider,
        "step": step,
        "scale": scale,
        "choices": choices,
        "per_pixel": per_pixel,
    }
    return dataclasses.field(default=default, kw_only=True, metadata={"parameter": declaration})


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(parameter,))
class Parameters:
    """Base of every configuration: frozen, keyword-only, checked on construction.

    Examples
    --------
    >>> class Light(Parameters):
    ...     power_mw: float = parameter(default=1.0, meaning="laser power", unit="mW", minimum=0, maximum=50)
    >>> Light(power_mw=5).power_mw
    5
    >>> Light(power_mw=80)
    Traceback (most recent call last):
    course_lib.parameters.ParameterError: power_mw is 80 mW, but must be from 0 to 50 mW: laser power.
    """

    def __init_subclass__(cls) -> None:
        """Make the subclass a frozen dataclass; maps have no single equality, so identity decides."""
        dataclass(frozen=True, kw_only=True, eq=False)(cls)

    def __post_init__(self) -> None:
        """Check every value against its declaration."""
        for declared in self.declared():
            declared.check(getattr(self, declared.name))

    @classmethod
    def declared(cls) -> tuple[Parameter, ...]:
        """List the parameters in the order of their declaration."""
        return tuple(
            Parameter(name=field.name, default=field.default, **field.metadata["parameter"])
            for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        )

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some values changed; the copy is checked like any other.

        Examples
        --------
        >>> class Light(Parameters):
        ...     power_mw: float = parameter(default=1.0, meaning="laser power", unit="mW", minimum=0)
        >>> Light().replace(power_mw=2.0)
        Light(power_mw=2.0)
        """
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]


ConfigurationT = TypeVar("ConfigurationT", bound=Parameters)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def add_arguments(parser: argparse.ArgumentParser, configuration: type[Parameters]) -> None:
    """Give `parser` one flag for each parameter of `configuration`.

    Examples
    --------
    >>> class Light(Parameters):
    ...     power_mw: float = parameter(default=1.0, meaning="laser power", unit="mW", minimum=0)
    >>> parser = argparse.ArgumentParser()
    >>> add_arguments(parser, Light)
    >>> from_arguments(Light, vars(parser.parse_args(["--power-mw", "3"])))
    Light(power_mw=3.0)
    """
    group = parser.add_argument_group(configuration.__name__.lower())
    for declared in configuration.declared():
        default = f"{declared.default:g}" if not declared.choices else declared.default
        unit = f" {declared.unit}" if declared.unit else ""
        group.add_argument(
            _flag(declared.name),
            dest=declared.name,
            type=type(declared.default),
            default=declared.default,
            choices=declared.choices or None,
            metavar=None if declared.choices else "X",
            help=f"{declared.meaning}; {declared.limits} (default {default}{unit})".replace("%", "%%"),
        )


def from_arguments(configuration: type[ConfigurationT], arguments: Mapping[str, Any]) -> ConfigurationT:
    """Build `configuration` from parsed command-line arguments, ignoring those of other groups."""
    return configuration(**{p.name: arguments[p.name] for p in configuration.declared()})
