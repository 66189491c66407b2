r"""The photon-transfer plot: noise against signal, with its three regimes.

On logarithmic axes each source of noise is a straight line, told by its slope, for a gain :math:`g`:

* read noise :math:`R/g`, slope 0,
* shot noise :math:`\sqrt{S/g}`, slope 1/2,
* the fixed pattern :math:`pS`, slope 1,

where :math:`S` is the signal in ADU, :math:`R` the read noise in electrons and :math:`p` the PRNU.
"""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.parameters import Parameter
from course_lib.plotting._figure import Data, new_axes, own_figure, to_finite_numpy
from course_lib.plotting.style import COLORS, STYLE

__all__ = ["photon_transfer"]

DECLARED = (
    Parameter(name="gain_e_per_adu", default=1.0, meaning="gain", unit="e⁻/ADU", minimum=1e-9),
    Parameter(name="read_noise_e", default=1.0, meaning="read noise", unit="e⁻", minimum=0),
    Parameter(name="fixed_pattern", default=0.01, meaning="PRNU", minimum=0),
)


def _draw_regime(axes: Axes, signal: np.ndarray, noise: np.ndarray, *, text: str, at: float) -> None:
    """Draw the line of one source of noise, its name below it at the fraction `at` of the signal's range."""
    axes.plot(signal, noise, color="0.45", linestyle="--", linewidth=1.1, marker="")
    below = 0.88 * noise
    index = round(at * (len(signal) - 1))
    axes.text(
        signal[index],
        below[index],
        text,
        rotation=float(np.degrees(np.arctan(np.gradient(below, signal)[index]))),
        rotation_mode="anchor",
        transform_rotates_text=True,
        va="top",
        color="0.3",
        fontsize=9,
    )


def _positive(data: Data, *, name: str) -> np.ndarray:
    array = to_finite_numpy(data, name=name).astype(np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, but must have (levels,): pass one number a level.")
    if array.min() <= 0:
        raise ValueError(
            f"{name} goes down to {array.min():g}, but logarithmic axes start above 0: "
            f"leave the dark level out, and check the offset."
        )
    return array


@matplotlib.rc_context(STYLE)
def photon_transfer(
    signal_adu: Data,
    variance_adu2: Data,
    *,
    frame_variance_adu2: Data | None = None,
    gain_e_per_adu: float | None = None,
    read_noise_e: float = 0.0,
    fixed_pattern: float = 0.0,
    title: str = "",
    axes: Axes | None = None,
) -> Figure:
    """Draw the noise of a camera against its signal, both logarithmic, and the model that explains it.

    Parameters
    ----------
    signal_adu : tensor or array, shape (levels,)
        Mean above the offset at each level of light, above 0.
    variance_adu2 : tensor or array, shape (levels,)
        Variance over time, from differences of frames, above 0.
    frame_variance_adu2 : tensor or array, shape (levels,), optional
        Variance over the pixels of single frames, which contains the fixed pattern.
    gain_e_per_adu : float, optional
        Gain of the model; without it only the measured points are drawn.
    read_noise_e, fixed_pattern : float
        Read noise in electrons and PRNU of the model; 0 leaves the line out.
    title : str
        Heading.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the lengths differ, a signal or variance is not above 0, or a number of the model is out of range.

    References
    ----------
    J. R. Janesick, "Photon Transfer", SPIE Press (2007).

    Examples
    --------
    >>> signal = np.logspace(0, 4, 9)
    >>> figure = photon_transfer(signal, signal / 2 + 1, gain_e_per_adu=2.0, read_noise_e=2.0)
    >>> figure.axes[0].get_ylabel()
    'noise, standard deviation (ADU)'
    """
    signal = _positive(signal_adu, name="signal_adu")
    measured = {"two frames: variance of the difference": _positive(variance_adu2, name="variance_adu2")}
    if frame_variance_adu2 is not None:
        measured["one frame: variance over its pixels"] = _positive(frame_variance_adu2, name="frame_variance_adu2")
    for name, variance in measured.items():
        if len(variance) != len(signal):
            raise ValueError(
                f"there are {len(signal)} signals but {len(variance)} variances {name}: pass one for each level."
            )

    axes = axes or new_axes(height_in=3.8)
    axes.set(xscale="log", yscale="log", title=title)
    axes.set(xlabel="signal above the offset (ADU)", ylabel="noise, standard deviation (ADU)")
    for (name, variance), marker, colour in zip(measured.items(), "os", COLORS, strict=False):
        face = colour if marker == "o" else "none"
        axes.plot(signal, variance**0.5, label=name, marker=marker, linestyle="", color=colour, markerfacecolor=face)
    if gain_e_per_adu is not None:
        for declared, value in zip(DECLARED, (gain_e_per_adu, read_noise_e, fixed_pattern), strict=True):
            declared.check(value)
        levels = np.geomspace(signal.min(), signal.max(), 101)
        _draw_model(axes, levels, gain_e_per_adu, read_noise_e, fixed_pattern)
    axes.legend()
    return own_figure(axes)


def _draw_model(
    axes: Axes, signal: np.ndarray, gain_e_per_adu: float, read_noise_e: float, fixed_pattern: float
) -> None:
    """Draw the lines of the three regimes and their sum, from half of the lowest noise upwards."""
    read = np.full_like(signal, read_noise_e / gain_e_per_adu)
    shot = np.sqrt(signal / gain_e_per_adu)
    fixed = fixed_pattern * signal
    over_time = np.hypot(read, shot)
    axes.plot(signal, over_time, color=COLORS[0], linestyle="-", marker="", label="model")
    lowest, highest = axes.get_ylim()
    axes.set_ylim(min(lowest, read[0] or lowest) / 2, highest)
    _draw_regime(axes, signal, shot, text="shot noise", at=0.4)
    if read_noise_e:
        _draw_regime(axes, signal, read, text="read noise", at=0.7)
    if fixed_pattern:
        axes.plot(signal, np.hypot(over_time, fixed), color=COLORS[1], linestyle="-", marker="")
        _draw_regime(axes, signal, fixed, text="fixed pattern", at=0.535)
