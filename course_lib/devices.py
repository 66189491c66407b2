"""Where tensors are computed: a device asked for and missing is an error, never a silent fall-back."""

import torch

__all__ = ["describe", "is_out_of_memory", "resolve"]

_OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "MPS backend out of memory",
    "CUDA out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def _available() -> list[str]:
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def resolve(device: str | torch.device = "auto") -> torch.device:
    """Turn a request into a device that exists.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` takes the first of CUDA, Apple's MPS and the CPU that is there; any other name must exist.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the device is not on this machine; the message lists those that are.

    Examples
    --------
    >>> resolve("cpu")
    device(type='cpu')
    """
    available = _available()
    if device == "auto":
        return torch.device(available[0])
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device {device!r} is not a device: pass one of {', '.join(available)}, or 'auto'.") from None
    with_index = f"{wanted.type}:{wanted.index or 0}" if wanted.type == "cuda" else wanted.type
    if with_index not in available:
        raise ValueError(
            f"device {str(device)!r} is not on this machine, which has {', '.join(available)}: "
            f"pass one of these, or 'auto' to take the first."
        )
    return wanted


def describe(device: torch.device) -> str:
    """Name the device for people, for example ``"CPU, 2 threads"`` or ``"NVIDIA H100 (78 GiB)"``.

    Examples
    --------
    >>> describe(torch.device("cpu")).startswith("CPU, ")
    True
    """
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name} ({properties.total_memory / 2**30:.0f} GiB)"
    if device.type == "mps":
        return "Apple GPU (MPS)"
    return f"CPU, {torch.get_num_threads()} threads"


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether a device had too little memory: torch raises another error for each kind.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    True
    >>> is_out_of_memory(RuntimeError("sizes do not match"))
    False
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)
