"""The report of ``course denoise``: one HTML file that needs no other."""

import html
import math
from dataclasses import dataclass
from typing import Any

import torch

from course_lib import metrics
from course_lib.cli._denoise_noise import Look
from course_lib.cli._page import figure, page
from course_lib.noise2void import METHODS, Choice

__all__ = ["Section", "report", "residual_of", "section_parts", "warning_of_residual"]

LARGEST_LAG = 4
DETAIL_SIDE = 128
"""Pixels of the detail that is shown enlarged."""
LARGEST_CORRELATION = 0.1
"""Of neighbours in the residual of white noise."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """What the report tells of one channel.

    Attributes
    ----------
    title : str
        Heading; empty for an image of one channel.
    look : Look
        The noise.
    choice : Choice
        The method.
    noisy, restored : torch.Tensor, shape (Y, X)
        A frame, in the unit of `look.frames`.
    warnings : tuple of str
        All of them.
    """

    title: str
    look: Look
    choice: Choice
    noisy: torch.Tensor
    restored: torch.Tensor
    warnings: tuple[str, ...]


def residual_of(noisy: torch.Tensor, restored: torch.Tensor, *, photons: bool) -> torch.Tensor:
    """Return what was taken away, for photons in standard deviations of their noise.

    Examples
    --------
    >>> residual_of(torch.full((2, 2), 12.0), torch.full((2, 2), 9.0), photons=True)[0, 0]
    tensor(1.)
    """
    residual = noisy - restored
    return residual / restored.clamp(min=0.25).sqrt() if photons else residual


def warning_of_residual(residual: torch.Tensor) -> str:
    """Return a warning where what was taken from an image of white noise is no white noise, else nothing.

    Examples
    --------
    >>> noise = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    >>> warning_of_residual(noise)
    ''
    >>> warning_of_residual(noise + noise.roll(1, dims=0))[:77]
    'what was taken away is correlated between neighbours (ρ = +0.51 down, -0.02 r'
    """
    rho = metrics.autocorrelation(residual, max_lag=1)
    down, right = float(rho[2, 1]), float(rho[1, 2])
    if max(abs(down), abs(right)) <= LARGEST_CORRELATION:
        return ""
    shown = f"ρ = {down:+.2f} down, {right:+.2f} right"
    if max(down, right) > LARGEST_CORRELATION:
        return (
            f"what was taken away is correlated between neighbours ({shown}), but the noise is not: detail was taken, "
            f"too."
        )
    return f"what was taken away alternates between neighbours ({shown}): a part of the noise was left."


def report(name: str, sections: list[Section], *, facts: list[str], pixel_size_um: tuple[float, ...] | None) -> str:
    """Return the page.

    Parameters
    ----------
    name : str
        Of the image.
    sections : list of Section
        One for each channel.
    facts : list of str
        What else to tell: shape, device, time.
    pixel_size_um : tuple of float, optional
        (y, x), for scale bars.
    """
    parts = [f"<h1>{html.escape(name)}, denoised</h1>", "<ul>", *(f"<li>{html.escape(one)}</li>" for one in facts)]
    parts.append("</ul>")
    for section in sections:
        parts += section_parts(section, pixel_size_um)
    return page(f"{name}, denoised", "\n".join(parts))


def section_parts(section: Section, pixel_size_um: tuple[float, ...] | None) -> list[str]:
    """Return what the report tells of one channel, in pieces of HTML."""
    choice, look = section.choice, section.look
    parts = [f"<h2>{html.escape(section.title)}</h2>"] if section.title else []
    parts.append(f"<p><strong>{html.escape(choice.reason)}</strong> {html.escape(look.assumed)}</p>")
    parts += [f'<p class="warning">{html.escape(text)}</p>' for text in section.warnings]
    parts += ["<h2>The referee</h2>", f"<p>{html.escape(_how_judged(look))}</p>", _table(choice)]
    parts += ["<h2>Before and after</h2>", *_pictures(section, pixel_size_um)]
    return parts


def _how_judged(look: Look) -> str:
    if look.noise == "photons":
        return (
            "A fifth of the photons was held out; each method restored what was left, and was judged by those held "
            "out. The error is the mean squared error against the unknown truth; by chance it can be below 0. The last "
            "column compares with the method chosen, and is known far more sharply, because all are judged by the same "
            "photons."
        )
    return (
        "Some pixels were hidden, with those that share their noise, and each method was judged by their noisy values: "
        "the error holds their noise, too, so that only differences count, in the last column."
    )


def _table(choice: Choice) -> str:
    rows = []
    for line in choice.judged:
        chosen = (line.method, line.setting) == (choice.method, choice.setting)
        marked = ' class="chosen"' if chosen else ""
        behind = "chosen" if chosen else _number(line.behind.value, line.behind.standard_error)
        error = _number(line.error.value, line.error.standard_error)
        rows.append(
            f"<tr{marked}><td>{html.escape(line.name)}</td>"
            f'<td class="number">{error}</td><td class="number">{behind}</td></tr>'
        )
    head = f"<tr><th>method</th><th>error, {html.escape(choice.unit)}</th><th>larger than that chosen by</th></tr>"
    left_out = [name for method, name in METHODS.items() if method not in {line.method for line in choice.judged}]
    said = f"\n<p>Not tried: {html.escape(', '.join(left_out))}.</p>" if left_out else ""
    return f"<table>\n{head}\n{chr(10).join(rows)}\n</table>{said}"


def _number(value: float, standard_error: float) -> str:
    """Return a number and its standard error with two digits of it.

    Examples
    --------
    >>> _number(-12.3456, 0.0345)
    '−12.346 ± 0.035'
    """
    digits = max(0, 1 - math.floor(math.log10(standard_error))) if standard_error > 0 else 3
    return f"{value:.{digits}f} ± {standard_error:.{digits}f}".replace("-", "−")


def _pictures(section: Section, pixel_size_um: tuple[float, ...] | None) -> list[str]:
    try:
        from course_lib import plotting
    except ModuleNotFoundError:
        return ["<p>There are no pictures, because matplotlib is not installed: pip install matplotlib.</p>"]
    photons = section.look.noise == "photons"
    unit = "photons" if photons else "grey levels"
    pixel_size: Any = None if pixel_size_um is None else (pixel_size_um[-2], pixel_size_um[-1])
    low, high = (float(torch.quantile(_some(section.restored), share)) for share in (0.001, 0.999))
    spread = max(high - low, 1e-6)
    shown = {"pixel_size_um": pixel_size, "unit": unit, "value_range": (low - 0.1 * spread, high + 0.1 * spread)}
    rows, columns = _detail(section.restored)
    residual = residual_of(section.noisy, section.restored, photons=photons)
    limit = 4.0 if photons else 4 * float(residual.std())
    titles = ["before", "after"]
    parts = [
        figure(plotting.show_images([section.noisy, section.restored], titles=titles, **shown), "The whole frame."),
        figure(
            plotting.show_images(
                [section.noisy[rows, columns], section.restored[rows, columns]], titles=titles, **shown
            ),
            "The part that varies most.",
        ),
        figure(
            plotting.show_images(
                residual,
                pixel_size_um=pixel_size,
                unit="standard deviations of the photon noise" if photons else unit,
                value_range=(-limit, limit),
                color_map="RdBu_r",
            ),
            "What was taken away. It should look like noise, which may be stronger where the image is bright. Lines "
            "and areas of one colour mean that detail was taken, too.",
        ),
        figure(
            plotting.autocorrelation(metrics.autocorrelation(residual, max_lag=LARGEST_LAG)),
            f"Autocorrelation of what was taken away. White noise has 0 everywhere but in the centre, within "
            f"{2 / residual.numel() ** 0.5:.1g}; a restoration adds values slightly below 0 around the centre, to "
            f"about −{LARGEST_CORRELATION:g}. Look for larger ones, above 0, or in one direction only.",
        ),
    ]
    history = section.choice.history
    if len(history) > 1:
        epochs = torch.tensor([float(record.epoch) for record in history])
        losses = {
            "training": torch.tensor([record.training_loss for record in history]),
            "validation": torch.tensor([record.validation_loss for record in history]),
        }
        drawn = plotting.curves(epochs, losses, x_label="epoch", y_label="loss (normalized)")
        parts.append(
            figure(
                drawn,
                "The loss of the network, in the numbers that it sees. It does not reach 0: the noise of what it is "
                "asked for is left, more of it where the image is bright, so that training and validation, which look "
                "at different parts, may end at different heights. The weights of the best epoch were taken.",
            )
        )
    return parts


def _some(values: torch.Tensor) -> torch.Tensor:
    flat = values.flatten()
    return flat[:: max(1, flat.numel() // 2**20)].float()


def _detail(image: torch.Tensor) -> tuple[slice, slice]:
    """Return the part of an image that varies most."""
    side = min(DETAIL_SIDE, *image.shape)
    tiles = image[: image.shape[0] // side * side, : image.shape[1] // side * side]
    spread = tiles.unfold(0, side, side).unfold(1, side, side).flatten(2).var(dim=2)
    row, column = divmod(int(spread.argmax()), spread.shape[1])
    return slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)
