"""Randomness without global state: every random function takes ``rng``, a seed, a generator or None."""

import torch

__all__ = ["generator"]


def generator(rng: int | torch.Generator | None, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a random generator that lives on `device`.

    Parameters
    ----------
    rng : int, torch.Generator or None
        A seed (the same seed on the same kind of device gives the same numbers), a generator to draw on
        with (it advances), or None for a fresh, unpredictable seed.
    device : torch.device or str
        Where the numbers will be drawn; a generator passed in must live there.

    Returns
    -------
    torch.Generator

    Raises
    ------
    ValueError
        If `rng` is a generator on another device, or a negative seed.
    TypeError
        If `rng` is none of the three.

    Examples
    --------
    >>> a = torch.rand(2, generator=generator(0))
    >>> b = torch.rand(2, generator=generator(0))
    >>> bool((a == b).all())
    True
    """
    device = torch.device(device)
    if isinstance(rng, torch.Generator):
        if rng.device.type != device.type:
            raise ValueError(
                f"rng is a generator on {rng.device}, but the data are on {device}: "
                f"pass a seed, or torch.Generator(device={device.type!r})."
            )
        return rng
    made = torch.Generator(device=device)
    if rng is None:
        made.seed()
    elif isinstance(rng, int) and not isinstance(rng, bool):
        if rng < 0:
            raise ValueError(f"rng is {rng}, but a seed must be at least 0: pass a whole number from 0 up.")
        made.manual_seed(rng)
    else:
        raise TypeError(f"rng is a {type(rng).__name__}, but must be an int, a torch.Generator or None.")
    return made
