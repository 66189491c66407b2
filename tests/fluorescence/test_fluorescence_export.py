"""The functions that live figures use give the same numbers in the browser's runtime."""

import numpy as np
import onnxruntime
import pytest
import torch

from course_lib.fluorescence import (
    emitted_photons,
    excited_fraction,
    healthy_fraction,
    pulsed_cycle_rate_per_s,
    survival,
    survival_double,
)


class Chain(torch.nn.Module):
    def forward(self, power: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rate = power * 5e5
        cycles = excited_fraction(rate, 2.6) / 2.6e-9
        emitted = emitted_photons(cycles, quantum_yield=0.6, photons_before_bleaching=2e5, exposure_ms=0.1)
        return (
            emitted,
            survival(frames, rate=emitted / 2e5),
            survival_double(frames, fast_rate=power, slow_rate=0.01, fast_share=0.4),
            healthy_fraction(frames * power, half_dose_j_per_cm2=50.0, steepness=3.0),
            pulsed_cycle_rate_per_s(rate, lifetime_ns=2.6, repetition_mhz=80.0),
        )


# the exporter of torch warns of its own deprecated parts
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_onnx_gives_what_torch_gives_for_tiny_and_large_doses() -> None:
    frames = torch.arange(50.0)
    exported = torch.onnx.export(
        Chain().eval(), (torch.tensor(1.0), frames), dynamo=True, optimize=False, verbose=False
    )
    graph = exported.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    for power in (1e-6, 1e-3, 1.0, 1e3):
        found = session.run(None, dict(zip(names, (np.asarray(power, dtype=np.float32), frames.numpy()), strict=True)))
        expected = Chain()(torch.tensor(power, dtype=torch.float64), frames.double())
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, wanted.numpy(), rtol=2e-5, atol=1e-12)
