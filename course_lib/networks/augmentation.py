"""Eight views of each patch: a microscope knows no up, no left, and no quarter turn.

Rotating and flipping patches gives a network up to eight times the examples for nothing, and averaging its answers over
the eight views lowers their error a little. In a stack, the axis of light is another one than the two of the image:
planes are never turned into columns.
"""

import torch

__all__ = ["VIEWS", "random_views", "view", "view_back"]

VIEWS = 8
"""Quarter turns of the image plane, and the same mirrored."""


def view(image: torch.Tensor, number: int) -> torch.Tensor:
    """Turn the last two axes by `number` % 4 quarters, after mirroring them if `number` is 4 or more.

    Examples
    --------
    >>> view(torch.tensor([[1, 2], [3, 4]]), 1)
    tensor([[2, 4],
            [1, 3]])
    """
    mirrored = image.flip(-1) if number >= 4 else image
    return torch.rot90(mirrored, number % 4, dims=(-2, -1))


def view_back(image: torch.Tensor, number: int) -> torch.Tensor:
    """Undo `view`.

    Examples
    --------
    >>> image = torch.arange(6.0).reshape(2, 3)
    >>> all(torch.equal(view_back(view(image, number), number), image) for number in range(VIEWS))
    True
    """
    turned = torch.rot90(image, -(number % 4), dims=(-2, -1))
    return turned.flip(-1) if number >= 4 else turned


def random_views(
    batch: tuple[torch.Tensor, ...],
    *,
    rng: torch.Generator,
    turn: bool,
    flip_planes: bool,
    rank: int = 0,
    ranks: int = 1,
) -> tuple[torch.Tensor, ...]:
    """Show each example of a batch from a side drawn at random: the same for input and target.

    Parameters
    ----------
    batch : tuple of torch.Tensor
        Tensors (N, C, [Z,] Y, X) whose examples belong together.
    rng : torch.Generator
        On the CPU; one view for each example of all processes is drawn.
    turn : bool
        Whether quarter turns are allowed: they need square patches, and noise without direction.
    flip_planes : bool
        Whether a stack may be turned upside down, too: not if its PSF differs above and below.
    rank, ranks : int
        This process has every `ranks`-th example, from number `rank` on.

    Examples
    --------
    >>> image = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> shown, same = random_views((image, image), rng=torch.Generator().manual_seed(0), turn=True, flip_planes=False)
    >>> torch.equal(shown, same)
    True
    """
    count = batch[0].shape[0] * ranks
    numbers = torch.randint(VIEWS, (count,), generator=rng)[rank::ranks].tolist()
    upside_down = torch.randint(2, (count,), generator=rng)[rank::ranks].tolist()
    if not turn:
        numbers = [number - number % 2 for number in numbers]
    shown = []
    for images in batch:
        views = [view(image, number) for image, number in zip(images, numbers, strict=True)]
        if flip_planes:
            views = [one.flip(-3) if over else one for one, over in zip(views, upside_down, strict=True)]
        shown.append(torch.stack(views))
    return tuple(shown)
