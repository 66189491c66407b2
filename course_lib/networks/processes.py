"""Several processes that train one network, started by ``torchrun``.

``torchrun --nproc-per-node 4 train.py`` starts the same program four times. Each process calls `join` first; after
that, `course_lib.networks.fit` shares every batch among them. What must be equal in all of them, the first process
decides and tells the others.
"""

import os
from typing import Any

import torch
from torch import distributed

from course_lib import devices
from course_lib.seeding import generator

__all__ = ["join", "own_device", "rank_of", "shared", "shared_generator"]


def join(device: str = "auto") -> None:
    """Join the other processes of torchrun; without it, and when called again, do nothing.

    Examples
    --------
    >>> join()
    """
    if not distributed.is_torchelastic_launched() or distributed.is_initialized():
        return
    on_gpu = torch.cuda.is_available() and device != "cpu"
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def rank_of() -> tuple[int, int]:
    """Return the number of this process, and how many there are.

    Examples
    --------
    >>> rank_of()
    (0, 1)
    """
    if not distributed.is_initialized():
        if distributed.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1:
            raise RuntimeError(
                f"torchrun started {os.environ['WORLD_SIZE']} processes, but this one has not joined the others: call "
                f"networks.join() first."
            )
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def own_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device of this process: of several GPUs, the one of its number.

    Examples
    --------
    >>> own_device("cpu")
    device(type='cpu')
    """
    if distributed.is_initialized() and str(device) in ("auto", "cuda"):
        on_gpu = distributed.get_backend() == "nccl"
        return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
    return devices.resolve(device)


def shared(value: Any) -> Any:
    """Return what the first process has.

    Examples
    --------
    >>> shared(3)
    3
    """
    if not distributed.is_initialized():
        return value
    box = [value]
    distributed.broadcast_object_list(box)
    return box[0]


def shared_generator(rng: int | torch.Generator | None) -> torch.Generator:
    """Return a generator on the CPU that draws alike in all processes.

    Examples
    --------
    >>> shared_generator(0).initial_seed()
    0
    """
    draws = generator(rng)
    draws.set_state(shared(draws.get_state()))
    return draws
