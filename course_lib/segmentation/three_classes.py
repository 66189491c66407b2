r"""Three classes: background, inside, and the border between, which keeps neighbours apart.

Two classes are not enough, because touching nuclei would be one piece. So the pixels of an object that touch anything
else are a class of their own [1]_. The network gives a score for each class, softmax makes probabilities of them,
and the loss is their cross entropy, in which border pixels, which are few, weigh more. Where the inside is probable,
connected pieces are the seeds; a watershed on the probability of *not inside* grows them to the borders.

If the network misses a few pixels of one border, two nuclei are one: the method has no other evidence than the line
itself, one pixel wide.

References
----------
.. [1] J. C. Caicedo et al., "Evaluation of deep learning strategies for nucleus segmentation in fluorescence images",
   Cytometry A 95, 952-965 (2019), doi:10.1002/cyto.a.23863.
"""

from collections.abc import Mapping
from itertools import product

import numpy as np
import torch
from torch.nn import functional

from course_lib.segmentation._check import Labels

__all__ = ["BACKGROUND", "BORDER", "INSIDE", "ThreeClasses"]

BACKGROUND, INSIDE, BORDER = 0, 1, 2
WEIGHTS = (1.0, 1.0, 2.0)


class ThreeClasses:
    """Background, inside and border of objects.

    Examples
    --------
    >>> labels = np.zeros((12, 12), dtype=np.int32)
    >>> labels[2:10, 2:6], labels[2:10, 6:10] = 1, 2
    >>> classes = ThreeClasses()
    >>> targets = classes.targets(labels)
    >>> certain = 20 * torch.nn.functional.one_hot(targets[0].long()).movedim(-1, 0)
    >>> np.array_equal(classes.objects(certain.float()), labels)
    True
    """

    choices: tuple[Mapping[str, float], ...] = tuple(
        {"least_foreground": foreground, "least_inside": inside}
        for foreground, inside in product((0.4, 0.5, 0.6), (0.4, 0.5, 0.6, 0.7, 0.8))
    )

    def maps(self, dimensions: int) -> int:  # noqa: ARG002
        """Return 3, whatever the dimensions."""
        return 3

    def targets(self, labels: Labels) -> torch.Tensor:
        """Return the number of each pixel's class, (1, [z,] y, x)."""
        from skimage.segmentation import find_boundaries

        classes = np.where(labels > 0, INSIDE, BACKGROUND)
        classes[find_boundaries(labels, mode="inner")] = BORDER  # type: ignore[no-untyped-call]
        return torch.from_numpy(classes[None]).float()

    def turned(self, targets: torch.Tensor, number: int) -> torch.Tensor:  # noqa: ARG002
        """Return the targets as they are: classes have no direction."""
        return targets

    def loss(self, given: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the cross entropy, borders counted twice."""
        weights = torch.tensor(WEIGHTS, device=given.device)
        classes = targets[:, 0].long()
        errors = functional.cross_entropy(given.float(), classes, weight=weights, reduction="none")
        return errors.flatten(1).mean(dim=1)

    def objects(self, given: torch.Tensor, *, least_foreground: float = 0.5, least_inside: float = 0.6) -> Labels:
        """Return the labels: pieces that are probably inside, grown over what is probably foreground."""
        from scipy import ndimage
        from skimage.segmentation import watershed

        probability = given.softmax(dim=0).numpy()
        seeds, _ = ndimage.label(probability[INSIDE] > least_inside)
        foreground = probability[BACKGROUND] < 1 - least_foreground
        grown = watershed(1 - probability[INSIDE], seeds, mask=foreground)  # type: ignore[no-untyped-call]
        return np.asarray(grown, dtype=np.int32)
