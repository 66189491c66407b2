"""The page on benchmarks says what the results say, also after a run that turns everything round."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
RATIOS = ("times_course_lib", "_time_over_course_lib")


def sources() -> list[str]:
    cells = json.loads((ROOT / "book" / "how-good.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [source for source in code if "perf_counter" not in source]  # all but the timing of this computer


def said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what the cells print where `repository` holds the results."""
    (repository / "book").mkdir()
    monkeypatch.chdir(repository / "book")
    namespace: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for source in sources():
            exec(source, namespace)
    return printed.getvalue()


def with_ratios(found: Any, ratio: list[float]) -> Any:
    """Return a result in which every ratio to a peer is `ratio`."""
    if isinstance(found, list):
        return [with_ratios(one, ratio) for one in found]
    if not isinstance(found, dict):
        return found
    return {
        key: ratio if key.startswith("faster_than_") or key.endswith(RATIOS) else with_ratios(value, ratio)
        for key, value in found.items()
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Folder with the committed lists of peers, and no results yet."""
    peers = tmp_path / "benchmarks" / "peers"
    peers.mkdir(parents=True)
    for path in (ROOT / "benchmarks" / "peers").glob("requirements*.txt"):
        (peers / path.name).write_text(path.read_text())
    (tmp_path / "benchmarks" / "results").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("ratio", "judged", "others"),
    [
        ([200.0, 300.0, 400.0], "course_lib is faster", ["course_lib is slower", "too close to call"]),
        ([0.25, 0.4, 0.5], "course_lib is slower", ["course_lib is faster", "too close to call"]),
        ([0.9, 1.1, 1.2], "too close to call", ["course_lib is faster", "course_lib is slower"]),
    ],
)
def test_the_verdicts_follow_the_results(
    repository: Path, monkeypatch: pytest.MonkeyPatch, ratio: list[float], judged: str, others: list[str]
) -> None:
    for path in RESULTS.glob("*.json"):
        changed = with_ratios(json.loads(path.read_text(encoding="utf-8")), ratio)
        (repository / "benchmarks" / "results" / path.name).write_text(json.dumps(changed))
    page = said(repository, monkeypatch)
    assert judged in page
    assert not [other for other in others if other in page]
    reached = [line for line in page.splitlines() if "confocal: times as fast as psfmodels" in line]
    assert [line.startswith("reached") for line in reached] == [ratio[0] >= 100]
    if judged == "course_lib is slower":
        assert "course_lib takes [2, 2.5, 4] × its time" in page


def test_losses_beside_the_time_are_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    for row in found["psf"]["rows"]:
        ours = row["library"] == "course_lib"
        row["first_call_ms"] = [30.0, 40.0, 50.0] if ours else [10.0, 20.0, 35.0]
        row["memory_mb"], row["relative_l2_error"] = (60, 1e-3) if ours else (20, 1e-5)
    found["acquisition"]["course_lib"] |= {"blur_s": 3.0, "memory_mib": 2000.0}
    found["acquisition"]["microsim"] |= {"blur_s": 1.5, "memory_mib": 1000.0}
    skipped = found["live_latency"]["rows"].pop()
    for name, result in found.items():
        (repository / "benchmarks" / "results" / f"{name}.json").write_text(json.dumps(result))
    page = said(repository, monkeypatch).splitlines()
    for line in (
        "confocal against psf: first call [30, 40, 50] instead of [10, 20, 35] ms",
        "confocal against psf: 3 × its memory",
        "confocal against psf: the larger error",
        "acquisition against microsim: blur (s) 3, not 1.5",
        "acquisition against microsim: additional memory (MiB) 2,000, not 1,000",
    ):
        assert line in page
    assert [line for line in page if line.startswith("not measured: ") and skipped["figure"] in line]


def written(repository: Path, found: dict[str, Any]) -> None:
    for name, result in found.items():
        (repository / "benchmarks" / "results" / f"{name}.json").write_text(json.dumps(result))


def committed() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}


def speed(machine: Any) -> dict[str, Any]:
    """Return a result in the form of benchmarks/deconvolution.py."""
    volume = {
        "shape": [64, 256, 256],
        "psf_shape": [33, 65, 65],
        "method": "linear",
        "ms": [1.0, 1.0, 1.0],
        "cpu_ms": [2.0, 2.0, 2.0],
    }
    ours = {**volume, "library": "course_lib", "threads": 2, "memory_mb": [90.0, 90.0, 90.0]}
    theirs = {**volume, "memory_mb": [30.0, 30.0, 30.0]}
    return {
        "machine": machine,
        "what": "iterations",
        "rounds": 3,
        "rows": [
            {**volume, "library": "floor", "threads": 2},
            {**ours, "times_floor": [1.0, 1.1, 1.2]},
            {**ours, "method": "circular", "times_floor": [1.2, 1.3, 1.4]},
            {**theirs, "library": "skimage", "threads": 1, "times_course_lib": [5.5, 6.0, 7.0]},
            {**theirs, "library": "redlionfish", "threads": 2, "times_course_lib": [0.2, 0.3, 0.4]},
        ],
    }


def test_times_of_deconvolution_are_judged(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = committed()
    written(repository, found | {"deconvolution": speed(found["psf"]["machine"])})
    page = said(repository, monkeypatch).splitlines()
    for line in (
        "deconvolution: 64 × 256 × 256, skimage, linear, threads: 1: course_lib is faster, [5.5, 6, 7]",
        "deconvolution: 64 × 256 × 256, redlionfish, linear, threads: 2: course_lib is slower, [0.2, 0.3, 0.4]",
        "deconvolution of 64 × 256 × 256, linear, against skimage: 3 × its memory",
        "reached             linear iteration of 64 × 256 × 256: time / floor ≤ 1.25: [1, 1.1, 1.2]",
        "MISSED              circular iteration of 64 × 256 × 256: time / floor ≤ 1.25: [1.2, 1.3, 1.4]",
        "reached             iteration: times as fast as skimage, linear, threads: 1 ≥ 5: [5.5, 6, 7]",
        "MISSED              iteration: times as fast as redlionfish, linear, threads: 2 ≥ 1.4: [0.2, 0.3, 0.4]",
        "deconvolution_quality.json has no ratio to a peer",
    ):
        assert line in page


def test_errors_of_deconvolution_are_judged(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = committed()
    quality = found["deconvolution_quality"]
    for stack in quality["stacks"]:
        stack["limits_of_accelerated_richardson_lucy"] |= {
            "without_noise": {"25": 0.123},
            "with_noise": [0.31, 0.32, 0.33],
            "with_noise_iterations": [27.0, 28.0, 29.0],
        }
        for row in stack["rows"]:
            if row["method"] == "richardson_lucy":
                row["nrmse"] |= {"10": [0.4, 0.5, 0.6]}
            elif row["method"] == "accelerated_richardson_lucy":
                row["nrmse"]["25"] = [0.28, 0.31, 0.32] if row["boundary"] == "linear" else [0.2, 0.25, 0.3]
            elif row["library"] == "cubic":
                row["nrmse"]["10"] = [0.2, 0.3, 0.3] if row["boundary"] == "linear" else [0.7, 0.7, 0.8]
            elif row["library"] == "scikit-image":
                row["nrmse"]["10"] = [0.55, 0.56, 0.7]
    for row in quality["stop"]["rows"]:
        row["ratios"] = [1.0, 1.04, 1.2]
    quality["stop"] |= {"within_5_percent": 31, "runs": 62}
    written(repository, found)
    page = said(repository, monkeypatch).splitlines()
    for line in (
        "… FARTHER than cubic, fine, linear, after 10: [0.4, 0.5, 0.6], [0.2, 0.3, 0.3]",
        "… as near as scikit-image, fine, linear, after 10: [0.4, 0.5, 0.6], [0.55, 0.56, 0.7]",
        "fine: without any noise 25 accelerated iterations would reach 0.123; with it none",
        "  comes nearer than [0.31, 0.32, 0.33], the one after [27, 28, 29]",
        "within 5 % of the oracle: 31 of 62 runs",
        "MISSED              NRMSE after 25 accelerated iterations, fine, linear ≤ 0.3: [0.28, 0.31, 0.32]",
        "reached             NRMSE after 25 accelerated iterations, coarse, circular ≤ 0.3: [0.2, 0.25, 0.3]",
        "by the median only  automatic stop: error over the oracle's, all runs ≤ 1.05: [1, 1.04, 1.2]",
        "MISSED              automatic stop: share of runs within 5 % of the oracle ≥ 1: [0.5]",
    ):
        assert line in page


def test_speed_and_quality_of_networks_are_judged(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = committed()
    ours, *theirs = found["networks"]["rows"]
    found["networks"]["case"]["batch"] = 16
    found["networks"]["import_s"] = {"course_lib": [2.0, 2.4, 2.6], "careamics": [9.0, 9.0, 9.0]}
    ours |= {"first_step_s": [0.4, 1.0, 1.2], "patches_per_s": [16.0, 16.0, 16.0], "training_memory_mb": [90.0] * 3}
    for row in theirs:
        row |= {"first_step_s": [0.8, 1.0, 1.0], "patches_per_s": [8.0, 8.0, 8.0], "training_memory_mb": [100.0] * 3}
        row |= {"training_time_over_course_lib": [2.0, 2.0, 2.0], "prediction_time_over_course_lib": [1.5, 2.0, 2.5]}
    quality = found["networks_quality"]
    quality["marks"] = [10, 20, 40]
    for task in quality["tasks"]:
        for image in task["images"]:
            image |= {"course_lib_minus_careamics_db": [0.1, 0.2, 0.3], "mean_difference_db": 0.2}
        task["mean_psnr_db_of_each_seed"] = {
            "course_lib": [{"10": 20.0, "20": 31.0, "40": 32.0}, {"10": 30.5, "20": 31.0, "40": 32.0}],
            "careamics": [{"10": 20.0, "20": 28.0, "40": 30.0}, {"10": 20.0, "20": 30.0, "40": 30.0}],
        }
    worse = quality["tasks"][0]
    worse["images"][0] |= {"course_lib_minus_careamics_db": [-0.3, -0.2, -0.1], "mean_difference_db": -0.2}
    worse["images"][1] |= {"course_lib_minus_careamics_db": [-0.3, 0.2, 0.4], "mean_difference_db": 0.1}
    worse["mean_psnr_db_of_each_seed"]["course_lib"] = [{"10": 20.0, "20": 29.0, "40": 29.5}] * 2
    written(repository, found)
    page = said(repository, monkeypatch).splitlines()
    setting = theirs[-1]["setting"]
    first, second = (image["image"] for image in worse["images"][:2])
    for line in (
        f"networks: training, careamics, {setting}: course_lib is faster, [2, 2, 2]",
        f"networks: prediction, careamics, {setting}: course_lib is faster, [1.5, 2, 2.5]",
        f"… FARTHER from it, {first}: [-0.3, -0.2, -0.1] dB",
        f"… now nearer, now farther, {second}: [-0.3, 0.2, 0.4] dB",
        f"CARE against careamics, {worse['task']}, {first}: 0.20 dB farther from the truth",
        "real, training 1: CAREamics' quality after 40 steps, which it first had after 40, takes us 20; ours after 40 "
        "takes it more than 40",
        "real, training 2: CAREamics' quality after 40 steps, which it first had after 20, takes us 10; ours after 40 "
        "takes it more than 40",
        f"our time to CAREamics' last quality over its time, {setting}: [0.253, inf, inf]",
        "MISSED              training: times as fast as CAREamics as it comes ≥ 2.3: [2, 2, 2]",
        f"reached             training: times as fast as CAREamics tuned, {setting} ≥ 1: [2, 2, 2]",
        f"by the median only  prediction: times as fast as CAREamics, {setting} ≥ 2: [1.5, 2, 2.5]",
        "MISSED              first step of training, s ≤ 0.6: [0.4, 1, 1.2]",
        "by the median only  start of Python and import, s ≤ 2.5: [2, 2.4, 2.6]",
        "reached             memory of training over that of CAREamics ≤ 1: [0.9, 0.9, 0.9]",
        f"by the median only  CARE, {worse['task']}: dB above CAREamics, equally many patches ≥ 0: [-0.3, 0.2, 0.4]",
        "reached             CARE, real: dB above CAREamics, equally many patches ≥ 0: [0.1, 0.2, 0.3]",
        f"MISSED              time to CAREamics' last quality over its time, {setting} ≤ 0.25: [0.253, inf, inf]",
        ".venv/bin/python -m benchmarks.networks_quality --peers .venv-careamics/bin/python",
    ):
        assert line in page


def trial(represents: str, precision: float) -> dict[str, Any]:
    """Return a row in the form of benchmarks/segmentation_representations.py."""
    judged = {"pooled": [precision] * 5, "mean_over_images": [precision] * 5}
    return {"represents": represents, "steps": 250, "fold": 0, "average_precision": judged, "training_s": 60}


def test_segmentation_is_judged(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = committed()
    for row in found["label_matching"]["rows"]:
        row |= {"faster_than_stardist": [3.0, 5.0, 6.0], "faster_than_cellpose": [0.5, 0.6, 0.7]}
    speed = found["segmentation_speed"]
    suppression, flows = (
        next(row for row in speed["rows"] if row["work"].startswith(kind)) for kind in ("suppression, ", "flows, ")
    )
    suppression |= {"faster_than_stardist": [1.2, 1.4, 1.6]}
    suppression["average_precision"] |= {"course_lib": [0.9] * 5, "stardist": [0.8, 0.8, 0.8, 0.8, 0.95]}
    flows |= {"faster_than_cellpose": [9.0, 9.0, 9.0]}
    flows["average_precision"] |= {"course_lib": [0.9] * 5, "cellpose": [0.9, 0.9, 0.9, 0.9, 0.905]}
    speed["large"]["rows"][0] |= {"method": "nuclei_2d", "found": 1234, "seconds": [4.0, 5.0, 6.0]}
    quality = found["segmentation_quality"]
    test_image = next(row for row in quality["rows"] if row["images"] == "test image")
    for who, precision in {"classical": 0.5, "nuclei_2d": 0.625, "nuclei_2d_simulated": 0.25}.items():
        test_image[who]["pooled"] = [precision] * 5
    quality["contest_steps"] = 750
    quality["contest"] = [
        {
            "course_lib": {"pooled": [0.75, 0.5, own, 0.5, 0.5]},
            "course_lib_training_s": 600,
            "stardist": {"pooled": [0.5, 0.75, 0.5, 0.5, 0.5]},
            "stardist_training_s": 500,
        }
        for own in (0.25, 0.625, 0.75)
    ]
    found["segmentation_representations"]["rows"] = [
        trial("flows", 0.5),
        trial("star-convex", 0.75),
        trial("three classes", 0.25),
    ]
    for row in found["features_table"]["rows"]:
        row["faster_than_scikit_image"] = [14.0, 16.0, 17.0] if row["work"].startswith("1000") else [0.5, 0.6, 0.7]
    written(repository, found)
    page = said(repository, monkeypatch).splitlines()
    suppressing, following, light = suppression["work"], flows["work"], "objects, position and light"
    for line in (
        f"{suppressing}, stardist: objects WORSE, AP -0.050 at the IoU that suits us least",
        f"{following}, cellpose: objects as good, AP -0.005 at the IoU that suits us least",
        "  nuclei_2d: [4, 5, 6] s, 1,234 objects",
        "nuclei_2d, test image: AHEAD of the watershed at IoU 0.7, +0.125",
        "nuclei_2d_simulated, test image: NOT AHEAD of the watershed at IoU 0.7, -0.250",
        "3 trainings of each, 750 steps of StarDist",
        "IoU 0.5: AHEAD of StarDist, [0.25, 0.25, 0.25]",
        "IoU 0.6: BEHIND StarDist, [-0.25, -0.25, -0.25]",
        "IoU 0.7: now ahead, now behind, [-0.25, 0.125, 0.25]",
        "250 steps, flows against star-convex: BEHIND each time, [-0.25, -0.25, -0.25] in the mean AP",
        "250 steps, flows against three classes: ahead each time, [0.25, 0.25, 0.25] in the mean AP",
        f"{suppressing}, stardist: 0.050 less average precision, at the IoU that suits us least",
        "nuclei_2d_simulated, test image: 0.250 less average precision at IoU 0.7 than the watershed",
        "trained like StarDist: 0.250 less average precision at IoU 0.6, by the median",
        "flows against star-convex, 250 steps: 0.250 less average precision, by the median",
        "table of features, 8000 objects, outline: course_lib is slower, [0.5, 0.6, 0.7]",
        f"by the median only  table of features, 1000 {light}: times as fast as scikit-image ≥ 15: [14, 16, 17]",
        f"MISSED              table of features, 8000 {light}: times as fast as scikit-image ≥ 5: [0.5, 0.6, 0.7]",
        "by the median only  matching, 125 discs: times as fast as stardist.matching ≥ 4: [3, 5, 6]",
        "MISSED              matching, 125 discs: times as fast as cellpose.metrics ≥ 1: [0.5, 0.6, 0.7]",
        f"MISSED              {suppressing}: times as fast as stardist ≥ 5: [1.2, 1.4, 1.6]",
        f"reached             {following}: times as fast as cellpose ≥ 3: [9, 9, 9]",
        f"reached             {following}, cellpose: average precision above it, at each IoU ≥ -0.01: [-0.005]",
        f"MISSED              {suppressing}, stardist: average precision above it, at each IoU ≥ -0.01: [-0.05]",
        "MISSED              nuclei_2d, test image: AP at IoU 0.7 above the watershed ≥ 0.15: [0.125]",
        "reached             trained like StarDist: AP at IoU 0.5 above it ≥ 0: [0.25, 0.25, 0.25]",
        "by the median only  trained like StarDist: AP at IoU 0.7 above it ≥ 0: [-0.25, 0.125, 0.25]",
    ):
        assert line in page


def test_what_of_segmentation_was_left_out_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = committed()
    speed = found["segmentation_speed"]
    speed["trained"] = None
    speed["rows"] = [row for row in speed["rows"] if row["work"] not in ("training", "prediction")]
    found["segmentation_quality"].pop("contest", None)
    written(repository, found)
    page = said(repository, monkeypatch).splitlines()
    assert "training and prediction next to StarDist: not measured in this run" in page
    assert "StarDist was not trained in this run" in page
    assert not [line for line in page if "trained like StarDist" in line or line.endswith(" --training")]


def test_the_time_of_the_whole_program_is_judged(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = committed()
    psnr_db = {"noisy": 30.0, "course denoise": 38.5, "best Gaussian of all": 37.0, "best non-local means of all": 39.0}
    rows = found["denoise_time"]["rows"]
    for row in rows:
        row |= {"seconds": 119.0, "shape": [512, 512], "psnr_db": psnr_db}
    written(repository, found)
    page = said(repository, monkeypatch).splitlines()
    for line in (
        f"{rows[0]['image']}, 512 × 512: 119 s, 38.50 dB; best Gaussian 37.00, non-local means 39.00",
        "reached             the whole course denoise, s ≤ 120: [119, 119, 119]",
        "reached             course denoise in that time: dB above best Gaussian of all ≥ 0: [1.5, 1.5, 1.5]",
        "MISSED              course denoise in that time: dB above best non-local means of all ≥ 0: [-0.5, -0.5, -0.5]",
    ):
        assert line in page


def test_without_results_it_says_what_to_do(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = (
        "has no acquisition, camera, care_3d, deconvolution, deconvolution_quality, denoise, denoise_time, "
        "features_table, label_matching, "
        "live_latency, networks, networks_quality, noise2void_3d, noise2void_quality, psf, segmentation_quality, "
        "segmentation_representations, segmentation_speed.json. "
        "This chapter needs the course's repository"
    )
    with pytest.raises(FileNotFoundError, match=message):
        said(repository, monkeypatch)
