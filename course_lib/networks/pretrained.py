"""Networks that the course has trained and ships, so that a chapter, a live figure or you can begin with one.

They were trained on what their entries in ``data/registry.toml`` and their own settings say, and know nothing else:
each is right for images like those, in their unit and of their pixel size, and plausible for any others.
"""

from course_lib import datasets
from course_lib.networks.model import Model

__all__ = ["pretrained"]


def pretrained(name: str) -> Model:
    """Load a network that the course ships.

    Parameters
    ----------
    name : str
        ``"care_live_2d"``, ``"care_nuclei_3d"`` or ``"noise2void_live_2d"``; `course_lib.datasets.describe` tells what
        each learned, its licence and the command that trained it.

    Returns
    -------
    Model
        On the CPU; its ``settings`` and ``history`` are those of its training.

    Raises
    ------
    ValueError
        If there is no network of that name, or its file is damaged.
    FileNotFoundError
        If its file is missing.

    Examples
    --------
    >>> model = pretrained("care_live_2d")
    >>> model.method, model.network.config.dimensions
    ('care', 2)
    >>> pretrained("care_nuclei")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: there is no pretrained network 'care_nuclei': choose one of care_live_2d, care_nuclei_3d, ...
    """
    names = datasets.names("model")
    if name not in names:
        raise ValueError(f"there is no pretrained network {name!r}: choose one of {', '.join(names)}.")
    return Model.load(datasets.path(name))
