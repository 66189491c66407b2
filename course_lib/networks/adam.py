r"""Adam: follow the gradient, each weight at a pace of its own.

A gradient :math:`g` of one batch is noisy, and weights differ in the size of theirs. Adam keeps for each weight a
running mean of its gradients, :math:`m`, and of their squares, :math:`v` [1]_:

.. math::

    m \leftarrow \beta_1 m + (1 - \beta_1) g , \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2 , \qquad
    \theta \leftarrow \theta - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon} .

Both begin at 0; the divisions by :math:`1 - \beta^t` after :math:`t` steps make up for it. So a weight moves by about
the learning rate :math:`\eta` where its gradients agree, and by less where they contradict each other, whatever the
unit of the loss. AdamW pulls each weight towards 0 by a share of itself; Adam adds that pull to the gradient, whose
size is then divided away [2]_.

These are the numbers of `torch.optim.Adam`, by test. That one asks for the compiler of torch as soon as it is made,
whose import takes one to three seconds, in which a small training is half done.

References
----------
.. [1] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR (2015), arXiv:1412.6980.
.. [2] I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR (2019), arXiv:1711.05101.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

__all__ = ["Adam"]

MOMENTUM, SQUARES_KEPT, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Adam, or AdamW.

    Parameters
    ----------
    weights : iterable of torch.nn.Parameter
        What is learned.
    learning_rate : float
        Largest change of a weight in a step, about.
    weight_decay : float
        Pull of the weights towards 0.
    decoupled : bool
        Whether the pull stays apart from the gradient: AdamW.

    Attributes
    ----------
    learning_rate, momentum : float
        η and β₁, which a schedule may set before each step.
    steps : int
        Taken so far.

    Examples
    --------
    >>> weight = nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = Adam([weight], learning_rate=0.1)
    >>> for _ in range(60):
    ...     weight.grad = 2 * weight.detach()  # of the loss weight²
    ...     optimizer.step()
    >>> abs(weight.item()) < 0.3
    True
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        *,
        learning_rate: float,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        self.weights = [weight for weight in weights if weight.requires_grad]
        self.learning_rate, self.momentum = learning_rate, MOMENTUM
        self.weight_decay, self.decoupled = weight_decay, decoupled
        self.steps = 0
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.squares = [torch.zeros_like(weight) for weight in self.weights]

    @torch.no_grad()
    def step(self) -> None:
        """Move each weight once, by its gradient; without one it has no part in the loss, as if it were 0."""
        self.steps += 1
        weights = [weight.detach() for weight in self.weights]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in self.weights]
        if self.weight_decay and self.decoupled:
            torch._foreach_mul_(weights, 1 - self.learning_rate * self.weight_decay)
        elif self.weight_decay:
            gradients = list(torch._foreach_add(gradients, weights, alpha=self.weight_decay))
        torch._foreach_lerp_(self.means, gradients, 1 - self.momentum)
        torch._foreach_mul_(self.squares, SQUARES_KEPT)
        torch._foreach_addcmul_(self.squares, gradients, gradients, value=1 - SQUARES_KEPT)
        sizes = torch._foreach_sqrt(self.squares)
        torch._foreach_div_(sizes, (1 - SQUARES_KEPT**self.steps) ** 0.5)
        torch._foreach_add_(sizes, EPSILON)
        pace = self.learning_rate / (1 - self.momentum**self.steps)
        torch._foreach_addcdiv_(weights, self.means, sizes, value=-pace)

    def forget_gradients(self) -> None:
        """Let the next gradient not be added to the last."""
        for weight in self.weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return all that going on needs, besides the weights."""
        return {"steps": self.steps, "means": self.means, "squares": self.squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.steps = state["steps"]
        for own, given in zip((self.means, self.squares), (state["means"], state["squares"]), strict=True):
            for mine, saved in zip(own, given, strict=True):
                mine.copy_(saved)
