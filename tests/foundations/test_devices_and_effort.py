import pytest
import torch

from course_lib import devices
from course_lib.effort import by_effort, current_effort


def test_auto_takes_what_is_there_and_a_missing_device_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.resolve("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"device 'cuda' is not on this machine, which has cpu: pass one of these"):
        devices.resolve("cuda")
    with pytest.raises(ValueError, match=r"device 'gpu' is not a device: pass one of cpu, or 'auto'"):
        devices.resolve("gpu")


def test_indices_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.resolve("auto") == torch.device("cuda:0")
    assert devices.resolve("cuda") == torch.device("cuda")
    assert devices.resolve("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"device 'cuda:2' is not on this machine, which has cuda:0, cuda:1"):
        devices.resolve("cuda:2")


def test_description_names_the_threads() -> None:
    assert devices.describe(torch.device("cpu")) == f"CPU, {torch.get_num_threads()} threads"


@pytest.mark.gpu
def test_description_names_the_gpu() -> None:
    assert "GiB" in devices.describe(devices.resolve("cuda"))


def test_effort_follows_the_variable_then_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_EFFORT", "full")
    assert by_effort(quick=1, full=2) == 2
    monkeypatch.setenv("COURSE_EFFORT", "quick")
    assert by_effort(quick=1, full=2) == 1
    monkeypatch.delenv("COURSE_EFFORT")
    for there, effort in ((True, "full"), (False, "quick")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert current_effort() == effort
    monkeypatch.setenv("COURSE_EFFORT", "fast")
    with pytest.raises(ValueError, match="COURSE_EFFORT is 'fast', but must be 'quick' or 'full'"):
        current_effort()
