r"""Draw the photons that might have come next, and see how much they would have changed the restored image.

Photons of an unknown signal :math:`s` arrive at the rate :math:`\mathrm{E}(s \mid \text{photons so far})` [1]_, and a
network trained by photon splitting gives an estimate of just that, since the squared error is least for the mean. So
photons can be drawn from it: a share :math:`p` of the photons is shown, :math:`v`, the network tells the rate of the
next ones, these are drawn and added, and so on up to the full dose [2]_. Each run ends with another image of counts
:math:`y'`, which could have been recorded after :math:`v` as well as the real one, and with the network's answer for
it, :math:`m(y') = \mathrm{E}(s \mid y')`.

**What is that a posterior of?** Of the *answer that the full dose would give*, for someone who knows only the share
that was shown: if the network is right, :math:`m` of the real counts is one more draw, like any other. It is not the
posterior of the signal itself, which is wider by what the full dose does not tell, either:

.. math:: \operatorname{Var}(s \mid v) = \operatorname{Var}(m(y') \mid v) + \mathrm{E}\operatorname{Var}(s \mid y') .

The standard deviation of the answers is the root of the first term. At a share of one half it is also the error that is
left at the full dose, as far as squared errors fall as one over the photons; where they fall more slowly, as at detail,
the error is larger. On simulated filaments of the training's kind (three trainings of each of three
lengths) the answer of the real photons was as far from the mean of the draws as they were themselves, to within 6 % in
the third of the pixels where they scatter most, and by up to 18 % farther in the third where they scatter least, in the
dark; and the error against the truth was 1.3 to 1.5 times as large.
The scatter knows of noise alone: what the network has learned wrongly, it repeats in each run.

References
----------
.. [1] D. L. Snyder, "Filtering and detection for doubly stochastic Poisson processes", IEEE Transactions on Information
   Theory 18 (1972) 91-102, doi:10.1109/TIT.1972.1054756.
.. [2] A. Krull, H. Basevi, B. Salmon, A. Zeug, F. Müller, S. Tonks, L. Muppala, A. Leonardis, "Image denoising and the
   generative accumulation of photons", WACV (2024) 1517-1526, arXiv:2307.06607.
"""

import warnings

import torch

from course_lib.networks import Model
from course_lib.noise import split_photons
from course_lib.seeding import generator

__all__ = ["sample_posterior"]


def sample_posterior(
    model: Model,
    counts: torch.Tensor,
    *,
    samples: int = 16,
    share: float = 0.5,
    steps: int = 10,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
) -> torch.Tensor:
    """Return restored images that a share of the photons leaves possible; their scatter is an uncertainty map.

    Parameters
    ----------
    model : Model
        Of `train_photon_splitting`.
    counts : torch.Tensor
        Photon counts, (..., [Z,] Y, X), or (..., C, [Z,] Y, X) for several channels.
    samples : int
        Images that are drawn.
    share : float
        Of the photons that is shown, the same to all; at least the model's `least_share`, and below 1.
    steps : int
        Looks of the network from the share to the full dose, each at the same factor of photons more. Between two looks
        a pixel's photons do not tell on others, which makes the scatter too small: by some 3 % for ten steps from one
        half, by half of that for twenty.
    rng : int, torch.Generator or None
        Draws the share and the photons, on the CPU.
    device : str or torch.device
        Where the network computes.

    Returns
    -------
    torch.Tensor, shape (samples, ...)
        In photons of the full dose: ``.mean(dim=0)`` is about what the network gives for the share that was shown, and
        ``.std(dim=0)`` the uncertainty. For the best image, use ``model.predict(counts)``.

    Raises
    ------
    ValueError
        If the model was not trained by photon splitting, a number is out of range, or the counts are no photons.

    Examples
    --------
    >>> from course_lib.networks import TrainingConfig
    >>> from course_lib.noise2void import SplittingConfig, train_photon_splitting
    >>> rows = torch.linspace(0, 12, 96)
    >>> counts = torch.poisson(20 + 10 * rows.sin().outer(rows.cos()), generator=torch.Generator().manual_seed(0))
    >>> model = train_photon_splitting(
    ...     counts,
    ...     SplittingConfig(patch_side=32, base_channels=4, depth=1),
    ...     TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2),
    ...     rng=0,
    ...     device="cpu",
    ...     progress=False,
    ... )
    >>> drawn = sample_posterior(model, counts, samples=4, rng=0, device="cpu")
    >>> uncertainty = drawn.std(dim=0)
    >>> drawn.shape, uncertainty.shape
    (torch.Size([4, 96, 96]), torch.Size([96, 96]))
    """
    if model.method != "photon splitting":
        raise ValueError(
            f"the model was trained by {model.method!r}, but only one that has seen shares of photons can tell the "
            f"next ones: use train_photon_splitting."
        )
    least = float(model.settings["photon splitting"]["least_share"])
    if not least <= share < 1:
        raise ValueError(
            f"share is {share:g}, but must be from {least:g}, the least share that the model was shown, to below 1: "
            f"train with a smaller least_share to begin with fewer photons."
        )
    if samples < 1 or steps < 1:
        raise ValueError(f"samples is {samples} and steps {steps}, but both must be at least 1.")
    draws = generator(rng)
    seen, _ = split_photons(counts.cpu(), fraction=share, rng=draws)
    photons, exposure = seen[None], share
    with warnings.catch_warnings():
        # the dark pixels of few photons scatter more than those of the training; the last look warns of another image
        warnings.filterwarnings("ignore", message="the background of channel")
        for step in range(1, steps + 1):
            after = share ** (1 - step / steps)
            rate = model.predict(photons / exposure, device=device).clamp(min=0)
            new = (rate * (after - exposure)).expand(samples, *seen.shape)
            photons, exposure = photons + torch.poisson(new, generator=draws), after
    return model.predict(photons, device=device)
