r"""Several networks, trained alike from other first weights: where they disagree, the data did not decide.

With the mean :math:`\mu_k` and the mean absolute error :math:`\sigma_k` that network :math:`k` expects (a Laplace
distribution, of variance :math:`2\sigma_k^2`), the mixture has the variance

.. math:: s^2 = \overline{2\sigma_k^2} + \overline{(\mu_k - \bar\mu)^2},

the noise that all of them expect, and their disagreement [1]_. It is a claim, and claims are checked: on images kept
apart, a factor makes the mean of :math:`s^2` the mean squared error (`Ensemble.calibrated`), without the part that is
the targets' own noise. So the map is right on the whole; where few networks happen to agree it is too small, and the
more members, the less so. The factor holds for images like those; nothing in it warns of structures that no network has
seen.

References
----------
.. [1] B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and scalable predictive uncertainty estimation using deep
   ensembles", NeurIPS (2017), arXiv:1612.01474.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch

from course_lib.care.pairs import Pair
from course_lib.care.training import Config, train
from course_lib.networks import Model, TrainingConfig
from course_lib.seeding import generator

__all__ = ["Ensemble", "train_ensemble"]


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Models that answer together.

    Attributes
    ----------
    models : tuple of Model
        At least two, or one that tells its errors.
    factor : float
        The errors are multiplied by it: see `calibrated`.
    """

    models: tuple[Model, ...]
    factor: float = 1.0

    def __post_init__(self) -> None:
        """Check that errors can be told."""
        if not self.models:
            raise ValueError("there is no model: give at least two.")
        if len(self.models) == 1 and self.models[0].network.config.gives == "values":
            raise ValueError(
                "a single model without errors has nobody to disagree with: give at least two, or train it with the "
                "probabilistic loss."
            )

    def predict(
        self, image: torch.Tensor, *, device: str | torch.device = "auto", progress: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean of the answers, and the standard deviation of its error.

        Parameters
        ----------
        image : torch.Tensor
            See `Model.predict`.
        device : str or torch.device
            Where to compute.
        progress : bool
            Show a bar for each model.
        """
        means, variances = [], []
        for model in self.models:
            if model.network.config.gives == "values":
                means.append(model.predict(image, device=device, progress=progress))
                continue
            mean, error = model.predict_with_errors(image, device=device, progress=progress)
            means.append(mean)
            variances.append(2 * error.square())
        together = torch.stack(means)
        variance = (together - together.mean(0)).square().mean(0)
        if variances:
            variance = variance + torch.stack(variances).mean(0)
        return together.mean(0), self.factor * variance.sqrt()

    def calibrated(
        self, pairs: Sequence[Pair], *, noise_variances: Sequence[float], device: str | torch.device = "auto"
    ) -> Self:
        """Return the ensemble with the factor that makes its errors right on pairs that no model has learned from.

        Parameters
        ----------
        pairs : sequence of Pair
            Kept apart, with targets in the unit of the training's.
        noise_variances : sequence of float
            Variance of the noise of each target, on average over its pixels, in its unit squared. It is no error of the
            ensemble, and is subtracted. 0 for a clean target; for photon counts that were divided by d, the target's
            mean divided by d.
        device : str or torch.device
            Where to compute.

        Raises
        ------
        ValueError
            If there is no pair, a variance is missing or below 0, the models agree everywhere, or noise explains all
            that the targets differ from the answers.
        """
        if not pairs:
            raise ValueError("there is no pair to calibrate with: keep at least one apart from the training.")
        if len(noise_variances) != len(pairs) or not all(0 <= one < math.inf for one in noise_variances):
            raise ValueError(
                f"noise_variances are {list(noise_variances)} for {len(pairs)} pairs: give one for each, at least 0."
            )
        wrong, noise, told = 0.0, 0.0, 0.0
        for pair, variance in zip(pairs, noise_variances, strict=True):
            image = pair.image if self.models[0].network.config.in_channels > 1 else pair.image[0]
            mean, error = replace(self, factor=1.0).predict(image, device=device)
            target = pair.target.reshape(mean.shape).cpu()
            wrong += float((target - mean).double().square().sum())
            noise += variance * target.numel()
            told += float(error.double().square().sum())
        if told == 0:
            raise ValueError("the models agree everywhere, and tell no error: train them from other seeds.")
        if wrong <= noise:
            raise ValueError(
                f"the targets differ from the answers by {wrong:.4g} in squares, and their noise alone by {noise:.4g}, "
                f"so that no error is left to calibrate: check noise_variances, or keep more pixels apart."
            )
        return replace(self, factor=math.sqrt((wrong - noise) / told))


def train_ensemble(
    pairs: Sequence[Pair],
    config: Config | None = None,
    training: TrainingConfig | None = None,
    *,
    members: int = 5,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Ensemble:
    """Train several models from other first weights, on other splits of the same pairs.

    Parameters
    ----------
    pairs, config, training, device, progress
        See `train`.
    members : int
        Models; each takes as long as one.
    rng : int, torch.Generator or None
        Draws a seed for each.
    """
    if members < 2:
        raise ValueError(f"members is {members}, but an ensemble has at least 2.")
    seeds = torch.randint(2**31, (members,), generator=generator(rng)).tolist()
    return Ensemble(
        models=tuple(train(pairs, config, training, rng=seed, device=device, progress=progress) for seed in seeds)
    )
