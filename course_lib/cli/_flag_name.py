"""How a parameter is called on the command line."""

__all__ = ["flag"]


def flag(name: str) -> str:
    """Return the flag of a parameter.

    Examples
    --------
    >>> flag("depth_um")
    '--depth-um'
    """
    return f"--{name.replace('_', '-')}"
