"""Spectra of fluorophores with the filters and lasers that are meant to suit them."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.parameters import Parameter
from course_lib.plotting._figure import Data, new_axes, own_figure, to_finite_numpy
from course_lib.plotting.style import STYLE

__all__ = ["spectra"]

WAVELENGTH = Parameter(
    name="a line in lines_nm", default=488.0, meaning="wavelength of a laser", unit="nm", minimum=100.0, maximum=20000.0
)
HATCHES = ("", "///", "...", "xxx")


def _curve(data: Data, *, name: str, length: int) -> np.ndarray:
    array = to_finite_numpy(data, name=name)
    if array.shape != (length,):
        raise ValueError(f"{name} has shape {array.shape}, but must have ({length},), that of wavelength_nm.")
    return array


def _wavelengths(wavelength_nm: Data) -> np.ndarray:
    wavelengths = to_finite_numpy(wavelength_nm, name="wavelength_nm")
    if wavelengths.ndim != 1 or len(wavelengths) < 2 or (np.diff(wavelengths) <= 0).any():
        raise ValueError(
            f"wavelength_nm has shape {wavelengths.shape}, but must be at least two wavelengths that grow: "
            f"pass for example torch.arange(350.0, 750.0)."
        )
    return wavelengths


@matplotlib.rc_context(STYLE)
def spectra(
    wavelength_nm: Data,
    series: Mapping[str, Data],
    *,
    filters: Mapping[str, Data] | None = None,
    lines_nm: Mapping[str, float] | None = None,
    y_label: str = "relative to the peak, transmission",
    title: str = "",
    axes: Axes | None = None,
) -> Figure:
    """Draw spectra as curves, filters as shaded areas behind them, lasers as upright lines.

    Parameters
    ----------
    wavelength_nm : tensor or array, shape (n,)
        Growing wavelengths.
    series : mapping from str to tensor or array of shape (n,)
        Excitation and emission spectra under their names.
    filters : mapping from str to tensor or array of shape (n,), optional
        Transmissions under their names; each gets a shade and a hatching of its own.
    lines_nm : mapping from str to float, optional
        Wavelengths of lasers under their names, written beside the lines.
    y_label : str
        What is drawn.
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
        If there is no curve, lengths differ, wavelengths do not grow, or a value is not finite.

    Examples
    --------
    >>> wavelength = np.arange(400.0, 650.0)
    >>> emission = np.exp(-(((wavelength - 510) / 20) ** 2))
    >>> band = (wavelength > 500) & (wavelength < 550)
    >>> figure = spectra(wavelength, {"emission": emission}, filters={"525/50": band}, lines_nm={"laser": 488})
    >>> figure.axes[0].get_xlabel()
    'wavelength (nm)'
    """
    if not series:
        raise ValueError("series is empty, but must hold at least one spectrum: pass {'name': values}.")
    wavelengths = _wavelengths(wavelength_nm)
    values = {name: _curve(data, name=name, length=len(wavelengths)) for name, data in series.items()}
    shades = {name: _curve(data, name=name, length=len(wavelengths)) for name, data in (filters or {}).items()}
    lines_nm = lines_nm or {}
    for line_nm in lines_nm.values():
        WAVELENGTH.check(line_nm)

    axes = axes or new_axes(width_in=7.0)
    for index, (name, shade) in enumerate(shades.items()):
        grey, hatch = f"{0.9 - 0.09 * (index % 4):.2f}", HATCHES[index % len(HATCHES)]
        axes.fill_between(wavelengths, shade, label=name, facecolor=grey, edgecolor="0.55", hatch=hatch, linewidth=0.5)
    for name, value in values.items():
        axes.plot(wavelengths, value, label=name, marker="")
    for name, line_nm in lines_nm.items():
        axes.axvline(line_nm, color="0.15", linestyle="-", linewidth=1.4, marker="")
        axes.annotate(
            name, (line_nm, 0.97), xycoords=("data", "axes fraction"), xytext=(-3, 0), textcoords="offset points",
            rotation=90, ha="right", va="top", fontsize=9,
        )  # fmt: skip
    top = max(1.0, *(float(array.max()) for array in (*values.values(), *shades.values())))
    axes.set(xlabel="wavelength (nm)", ylabel=y_label, title=title, ylim=(0, 1.05 * top))
    axes.set_xlim(wavelengths[0], wavelengths[-1])
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=9)
    return own_figure(axes)
