r"""Restore one image in seconds, with a small network that learns from it alone: zero-shot Noise2Noise.

Neighbouring pixels show nearly the same signal with other noise. So an image :math:`y` gives two of half its size that
make a pair as Noise2Noise needs it [1]_: of each block of two by two pixels, the mean of one diagonal, :math:`D_1 y`,
and that of the other, :math:`D_2 y`. A network :math:`f` with three convolutions of three by three pixels learns the
noise of one from the other, and, so that what it learns holds at the full size, too, that it makes no difference
whether an image is first restored or first halved:

.. math::

    L = \tfrac12 \sum_{i \neq j} \lVert R(D_i y) - D_j y \rVert^2 + \lVert R(D_i y) - D_i R(y) \rVert^2 , \qquad
    R(x) = x - f(x) .

The noise must be independent from pixel to pixel, and the image sampled finely enough that neighbours are alike: detail
of one pixel is taken for noise. Noise2Fast [2]_ makes its pairs from a checkerboard in much the same way, but trains a
far larger network and watches when to stop, for several times the computation: this one fits a processor without a GPU.

It sees seven pixels wide, and is no match for a network that learns longer and sees farther, nor for a Gaussian filter
of the best width: on a frame of the hazelnut that is not shown anywhere, 36.5 dB against 37.6, of 30.1 before. (The two
convolutions of the paper reached 36.0 there, in the same time.)

References
----------
.. [1] Y. Mansour, R. Heckel, "Zero-shot Noise2Noise: efficient image denoising without any data", CVPR (2023)
   14018-14027, arXiv:2303.11253.
.. [2] J. Lequyer, R. Philip, A. Sharma, W.-H. Hsu, L. Pelletier, "A fast blind zero-shot denoiser", Nature Machine
   Intelligence 4 (2022) 953-963, doi:10.1038/s42256-022-00547-8.
"""

import torch
from torch import nn
from tqdm import tqdm

from course_lib import devices
from course_lib.axes import check_spatial
from course_lib.images import PercentileNormalization
from course_lib.networks.adam import Adam
from course_lib.networks.schedules import one_cycle
from course_lib.seeding import generator

__all__ = ["zero_shot"]

FEATURES, LEAST_SLOPE = 24, 0.2
"""Of the network: between its convolutions, and below 0."""
CROP = 96
"""Most rows and columns that a step looks at, cut anew each time: large images take no longer than small ones."""
LEARNING_RATE = 3e-3
"""The largest, of a one-cycle schedule."""
BAND, REACH = 128, 3
"""Rows that are restored at once, and pixels that the network sees to each side."""


def zero_shot(
    image: torch.Tensor,
    *,
    steps: int = 600,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> torch.Tensor:
    """Return a restored image, from itself alone.

    Parameters
    ----------
    image : torch.Tensor, shape (Y, X)
        Noisy image, floating point, in any unit.
    steps : int
        How long to learn.
    rng : int, torch.Generator or None
        Draws the first weights, and what each step looks at.
    device : str or torch.device
        Where to compute.
    progress : bool
        Show a bar with the time left.

    Returns
    -------
    torch.Tensor, shape (Y, X)
        On the CPU, float32, in the unit of the image.

    Raises
    ------
    ValueError
        If the image is constant or nearly so, has other axes than two, or a side below 8 pixels.

    Examples
    --------
    >>> rows = torch.linspace(0, 12, 64)
    >>> truth = 20 + 10 * rows.sin().outer(rows.cos())
    >>> noisy = torch.poisson(truth, generator=torch.Generator().manual_seed(0))
    >>> restored = zero_shot(noisy, steps=40, rng=0, device="cpu", progress=False)
    >>> bool((restored - truth).square().mean() < (noisy - truth).square().mean() / 2)
    True
    """
    check_spatial(image, 2)
    if image.ndim != 2:
        raise ValueError(f"image has shape {tuple(image.shape)}, but must be one plane, (Y, X): call it for each.")
    if min(image.shape) < 8:
        raise ValueError(f"image has shape {tuple(image.shape)}, but needs at least 8 rows and columns to learn from.")
    if steps < 1:
        raise ValueError(f"steps is {steps}, but must be at least 1.")
    where, draws = devices.resolve(device), generator(rng)
    normalization = PercentileNormalization().fit(image.float())
    noisy = normalization.apply(image.float())[None, None].to(where)
    network = _network(draws).to(where)
    optimizer = Adam(network.parameters(), learning_rate=LEARNING_RATE)
    for step in tqdm(range(steps), unit="step", desc="zero shot", disable=None if progress else True):
        optimizer.learning_rate, optimizer.momentum = one_cycle(step, steps, peak=LEARNING_RATE)
        optimizer.forget_gradients()
        loss = _loss(network, _crop(noisy, draws))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return normalization.invert(_restored(network, noisy)[0, 0].cpu())


def _network(draws: torch.Generator) -> nn.Sequential:
    """Return a network that begins with no noise at all."""
    layers = nn.Sequential(
        nn.Conv2d(1, FEATURES, 3, padding=1, padding_mode="replicate"),
        nn.LeakyReLU(LEAST_SLOPE),
        nn.Conv2d(FEATURES, FEATURES, 3, padding=1, padding_mode="replicate"),
        nn.LeakyReLU(LEAST_SLOPE),
        nn.Conv2d(FEATURES, FEATURES, 3, padding=1, padding_mode="replicate"),
        nn.LeakyReLU(LEAST_SLOPE),
        nn.Conv2d(FEATURES, 1, 1),
    )
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=LEAST_SLOPE, generator=draws)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    nn.init.zeros_(layers[-1].weight)  # type: ignore[arg-type]
    return layers


def _crop(image: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Return a part of even sides."""
    for axis in (2, 3):
        side = min(CROP, image.shape[axis] // 2 * 2)
        start = int(torch.randint(image.shape[axis] - side + 1, (), generator=draws))
        image = image.narrow(axis, start, side)
    return image


def _halves(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the means of the two diagonals of each block of two by two pixels."""
    top, bottom = image[..., 0::2, :], image[..., 1::2, :]
    return (top[..., 0::2] + bottom[..., 1::2]) / 2, (top[..., 1::2] + bottom[..., 0::2]) / 2


def _loss(network: nn.Module, noisy: torch.Tensor) -> torch.Tensor:
    pair = _halves(noisy)
    restored = [half - network(half) for half in pair]
    halved = _halves(noisy - network(noisy))
    losses = [
        nn.functional.mse_loss(restored[i], pair[1 - i]) + nn.functional.mse_loss(restored[i], halved[i])
        for i in range(2)
    ]
    return (losses[0] + losses[1]) / 2


@torch.inference_mode()
def _restored(network: nn.Module, noisy: torch.Tensor) -> torch.Tensor:
    """Return the whole image restored, in bands of rows, each with as many more on both sides as the network sees."""
    bands = []
    for first in range(0, noisy.shape[2], BAND):
        above = min(first, REACH)
        band = noisy[:, :, first - above : first + BAND + REACH]
        bands.append((band - network(band))[:, :, above : above + BAND])
    return torch.cat(bands, dim=2)
