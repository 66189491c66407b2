"""What is checked of a method that another function calls: for each part of an image, or again and again."""

import functools
import inspect
import warnings
from typing import Any, Protocol

import torch

from course_lib.deconvolution._check import Background, check_count

__all__ = ["Method", "check_for_parts", "check_given_once", "check_wrapping", "name_of", "warn_of_seams"]

FITTED_TO_EACH_PART = {
    "jansson_van_cittert": ("its step and its upper bound", None),
    "tikhonov_miller": ("its step and, unless given, its regularization", None),
    "wiener": ("the ratio of noise to signal", "noise_to_signal"),
}
"""What a method fits to the image, and the setting that takes its place."""


class Method(Protocol):
    """An algorithm with its settings, `functools.partial(richardson_lucy, iterations=50)` for example."""

    def __call__(self, image: torch.Tensor, psf: torch.Tensor, *, background: Background) -> torch.Tensor:
        """Restore the image, shape (..., [Z,] Y, X)."""


def name_of(method: object) -> str:
    """Return the name of a function, also of one in a `functools.partial`.

    Examples
    --------
    >>> name_of(functools.partial(sorted, reverse=True))
    'sorted'
    """
    return getattr(getattr(method, "func", method), "__name__", type(method).__name__)


def check_given_once(method: object, **given: Any) -> None:
    """Raise if a `functools.partial` sets a keyword to another value than the one `given`, which would replace it.

    Examples
    --------
    >>> check_given_once(functools.partial(print, background=2), background=2.0)
    """
    own = method.keywords if isinstance(method, functools.partial) else {}
    for name, value in given.items():
        if name in own and not _equal(own[name], value):
            raise ValueError(
                f"method has {name}={_told(own[name])}, but would be called with {name}={_told(value)}: take {name} "
                f"out of functools.partial, and pass it beside method."
            )


def check_for_parts(method: Method, *, part: str) -> None:
    """Raise if a method would treat each part of an image, a tile for example, in another way."""
    if name_of(method) == "automatic_stop":
        raise ValueError(
            f"method is automatic_stop, which would end each {part} after another number of iterations: let it find "
            f"the number on a part of the image, and pass method=functools.partial(accelerated_richardson_lucy, "
            f"iterations=...)."
        )
    settings = _settings_of(method)
    if "iterations" in settings:
        check_count(settings["iterations"], name="iterations")
    if settings.get("stop") is not None:
        raise ValueError(
            f"method has a rule stop, which would see one {part} at a time and end each after another number of "
            f"iterations: find the number on a part of the image, with automatic_stop for example, and pass iterations."
        )
    if settings.get("callback") is not None:
        raise ValueError(f"method has a callback, which would be called for each {part} with its margins: leave it.")


def check_wrapping(method: Method, *, cut: str, remedy: str) -> None:
    """Raise if the boundary is circular, for an image that is `cut`."""
    if _settings_of(method).get("boundary") == "circular":
        raise ValueError(
            f"the boundary is circular, but {cut}, which do not wrap round: use boundary='linear', or {remedy}."
        )


def warn_of_seams(method: Method, *, part: str, remedy: str, stacklevel: int) -> None:
    """Say so if a method fits its settings to each part, so that parts differ."""
    name = name_of(method)
    fitted, setting = FITTED_TO_EACH_PART.get(name, ("", None))
    if fitted and (setting is None or _settings_of(method)[setting] is None):
        warnings.warn(
            f"{name} fits {fitted} to the image, and so to each {part}: expect seams of some per cent of the peak. "
            f"Use richardson_lucy, or {remedy}.",
            stacklevel=stacklevel + 1,
        )


def _settings_of(method: Method) -> dict[str, Any]:
    """Return the default of each parameter, as `functools.partial` changed them."""
    return {name: one.default for name, one in inspect.signature(method).parameters.items()}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    first, second = (torch.as_tensor(value, dtype=torch.float64, device="cpu") for value in (one, other))
    return torch.equal(first, second)


def _told(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
