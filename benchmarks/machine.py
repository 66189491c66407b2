"""What a benchmark ran on, and where its result is kept."""

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

__all__ = ["describe_machine", "write_results"]

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("torch", "numpy", "onnx", "onnxruntime")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, accelerator, system, versions and date.

    Examples
    --------
    >>> sorted(describe_machine())
    ['accelerator', 'cores', 'date', 'processor', 'system', 'versions']
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def write_results(name: str, measured: dict[str, Any]) -> None:
    """Print `measured` and write it, with the machine, to ``benchmarks/results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": describe_machine(), **measured}, indent=2, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
