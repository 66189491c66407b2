"""One thing that is wrong with an image, and what follows from it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Flag"]


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A warning.

    Attributes
    ----------
    name : str
        A short name that programs can rely on, such as ``"saturated"``.
    severity : {"stop", "care"}
        Stop: something cannot be done with this image at all, and the text says what. Care: a result may be wrong.
    text : str
        What was seen, what follows, and the remedy.
    channel : int or None
        Of which channel, from 0; None for the whole image, or the only channel.

    Examples
    --------
    >>> print(Flag(name="clipped", severity="care", text="3 % of the pixels are 0.", channel=1))
    care: clipped (channel 1): 3 % of the pixels are 0.
    """

    name: str
    severity: Literal["stop", "care"]
    text: str
    channel: int | None = None

    def __str__(self) -> str:
        """Give severity, name and text in one line."""
        where = "" if self.channel is None else f" (channel {self.channel})"
        return f"{self.severity.upper() if self.severity == 'stop' else 'care'}: {self.name}{where}: {self.text}"
