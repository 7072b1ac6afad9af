"""Drift detection on real data: `python -m bench.drift_real [--quick] [--river PYTHON]`.

Data that come with scikit-learn (digits, breast cancer) and with river (Phishing, ImageSegments; `--river` is a Python that has it). Each is cut at random into a baseline and the rest, from which
windows are drawn, so that nothing drifts but by the changes that are made. And the experiments of "Failing Loudly" (Rabanser, Günnemann and Lipton 2019) redone on digits: how often one sample of
10 to 500 images is found to be shifted, at a level of 5%.

Beside Driftline: SciPy's Kolmogorov–Smirnov with Bonferroni's correction, which is what that paper recommends for single features (`bench/peers/of_scipy.py`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
import numpy as np
from scipy import ndimage
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression

from bench.peers.measure import BUDGET, RETUNED, Peer, Reading, Retuned
from bench.peers.of_driftline import Driftline
from bench.peers.of_scipy import BonferroniTests
from bench.report import markdown_table, write_json
from detectors.baseline import build_baseline
from detectors.drift import DriftDetector
from detectors.windows import WindowPolicy

_DELAY_LIMIT = 10
_LEVEL = 0.05
SAMPLE_ROWS = (10, 20, 50, 100, 200, 500)
_SIDE = 8  # pixels
_BRIGHTEST = 16.0


class Data(NamedTuple):
    """A data set."""

    values: np.ndarray
    """Rows × features."""
    labels: np.ndarray


class Sample(NamedTuple):
    """Rows that were drawn, and from where."""

    data: Data
    pool: Data
    rng: np.random.Generator


Change = Callable[[Sample], np.ndarray]


def _of_class(label: float, share: float) -> Change:
    """Replace so many rows by ones of this class."""

    def change(sample: Sample) -> np.ndarray:
        values = sample.data.values.copy()
        chosen = sample.rng.random(len(values)) < share
        values[chosen] = sample.rng.choice(sample.pool.values[sample.pool.labels == label], chosen.sum())
        return values

    return change


def _without_class(label: float, share: float) -> Change:
    """Replace so many rows of this class by ones of the others."""

    def change(sample: Sample) -> np.ndarray:
        values = sample.data.values.copy()
        chosen = (sample.data.labels == label) & (sample.rng.random(len(values)) < share)
        values[chosen] = sample.rng.choice(sample.pool.values[sample.pool.labels != label], chosen.sum())
        return values

    return change


def _scaled(factor: float, features: slice) -> Change:
    def change(sample: Sample) -> np.ndarray:
        values = sample.data.values.copy()
        values[:, features] *= factor
        return values

    return change


def _each_image(change: Callable[[np.ndarray, np.random.Generator], np.ndarray], share: float = 1.0) -> Change:
    """Change a share of the images (side × side), and keep them within what a pixel can be."""

    def changed(sample: Sample) -> np.ndarray:
        images = sample.data.values.reshape(-1, _SIDE, _SIDE)
        new = np.array([change(image, sample.rng) if sample.rng.random() < share else image for image in images])
        return np.clip(np.rint(new), 0.0, _BRIGHTEST).reshape(sample.data.values.shape)

    return changed


def _blurred(width: float) -> Change:
    return _each_image(lambda image, _: ndimage.gaussian_filter(image, width))


def _turned(degrees: float) -> Change:
    return _each_image(lambda image, _: ndimage.rotate(image, degrees, reshape=False, order=1))


def _contrasted(factor: float) -> Change:
    return _each_image(lambda image, _: (image - _BRIGHTEST / 2) * factor + _BRIGHTEST / 2)


def _noisy(deviation: float, share: float) -> Change:
    return _each_image(lambda image, rng: image + rng.normal(scale=deviation, size=image.shape), share)


def _moved(degrees: float, pixels: float, share: float) -> Change:
    """Turn and move each image by as much at most."""

    def moved(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        turned = ndimage.rotate(image, rng.uniform(-degrees, degrees), reshape=False, order=1)
        return np.asarray(ndimage.shift(turned, rng.uniform(-pixels, pixels, 2), order=1))

    return _each_image(moved, share)


def _adversarial(step: float, share: float) -> Change:
    """Move each pixel by a step in the direction that makes a logistic regression most wrong (Goodfellow, Shlens and Szegedy 2015)."""

    def change(sample: Sample) -> np.ndarray:
        model = LogisticRegression(max_iter=200).fit(sample.pool.values / _BRIGHTEST, sample.pool.labels)
        values = sample.data.values
        errors = model.predict_proba(values / _BRIGHTEST) - (sample.data.labels[:, None] == model.classes_)
        attacked = np.clip(np.rint(values + step * np.sign(errors @ model.coef_)), 0.0, _BRIGHTEST)
        return np.where(sample.rng.random((len(values), 1)) < share, attacked, values)

    return change


STREAMS: dict[str, tuple[int, int, dict[str, Change]]] = {
    "digits": (
        900,
        100,
        {"blur 0.5": _blurred(0.5), "rotation 10°": _turned(10), "contrast ×0.8": _contrasted(0.8), "twice as many ones": _of_class(1, 0.1)},
    ),
    "breast cancer": (
        300,
        50,
        {"a fifth more malignant": _of_class(0, 0.2), "radius +5%": _scaled(1.05, slice(0, 1)), "all sizes +10%": _scaled(1.1, slice(0, 4))},
    ),
    "Phishing": (600, 100, {"a fifth more phishing": _of_class(1, 0.2), "two fifths more phishing": _of_class(1, 0.4)}),
    "ImageSegments": (1_000, 100, {"a tenth more sky": _of_class(5, 0.1), "no sky": _without_class(5, 1.0), "intensity +10%": _scaled(1.1, slice(8, 12))}),
}
"""By data set: rows of the baseline, rows of a window, changes."""

IMAGE_SHIFTS: dict[str, Change] = {
    "none": lambda sample: sample.data.values,
    "small noise, half of the images": _noisy(1 / 255 * _BRIGHTEST, 0.5),
    "medium noise, half of the images": _noisy(10 / 255 * _BRIGHTEST, 0.5),
    "large noise, half of the images": _noisy(100 / 255 * _BRIGHTEST, 0.5),
    "small move, half of the images": _moved(10, 0.05 * _SIDE, 0.5),
    "medium move, half of the images": _moved(40, 0.2 * _SIDE, 0.5),
    "large move, half of the images": _moved(90, 0.4 * _SIDE, 0.5),
    "knock-out, a tenth of the zeros": _without_class(0, 0.1),
    "knock-out, half of the zeros": _without_class(0, 0.5),
    "knock-out, all zeros": _without_class(0, 1.0),
    "adversarial, a tenth of the images": _adversarial(2.0, 0.1),
    "adversarial, half of the images": _adversarial(2.0, 0.5),
}


class Found(msgspec.Struct):
    """What became of one change of one data set."""

    data: str
    change: str
    quiet: dict[str, float]
    """By rule: share of windows without a change in alarm."""
    delays: dict[str, list[int]]


class Accuracy(msgspec.Struct):
    """How often one sample was found to be shifted, by the rows of the sample."""

    change: str
    method: str
    found: dict[str, float]


class Figures(msgspec.Struct):
    """All of it."""

    streams: list[Found]
    images: list[Accuracy]
    left_out: dict[str, str]


def _split(data: Data, rows: int, seed: int) -> tuple[Data, Data]:
    order = np.random.default_rng(seed).permutation(len(data.labels))
    first, rest = order[:rows], order[rows:]
    return Data(data.values[first], data.labels[first]), Data(data.values[rest], data.labels[rest])


def _draw(pool: Data, rows: int, rng: np.random.Generator) -> Sample:
    chosen = rng.choice(len(pool.labels), rows, replace=False)
    return Sample(Data(pool.values[chosen], pool.labels[chosen]), pool, rng)


def _columns(values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"feature {index}": column.astype(np.float64) for index, column in enumerate(values.T)}


def streams(data: dict[str, Data], splits: int, windows: int) -> list[Found]:
    """Return false alarms and delays on each data set."""
    return [each for name, of in data.items() for each in _stream(name, of, splits, windows)]


class _Split(NamedTuple):
    """Detectors that know a baseline, and what was not in it."""

    peers: dict[str, Peer]
    pool: Data


def _stream(name: str, data: Data, splits: int, windows: int) -> list[Found]:
    rows, window_rows, changes = STREAMS[name]
    fitted = [_fitted(data, rows, window_rows, seed) for seed in range(splits)]
    readings: dict[str, list[Reading]] = {peer: [] for peer in fitted[0].peers}
    for seed, (peers, pool) in enumerate(fitted):
        rng = np.random.default_rng(seed)
        for _ in range(windows):
            window = _columns(_draw(pool, window_rows, rng).data.values)
            for peer, of in readings.items():
                of.append(peers[peer].read(window, np.zeros(window_rows, dtype=np.int64)))
    retuned = {peer: Retuned(of) for peer, of in readings.items()}
    quiet = {f"{peer}: {rule}": share for peer, of in readings.items() for rule, share in _shares(of, retuned[peer]).items()}
    found = []
    for change_name, change in changes.items():
        delays: dict[str, list[int]] = {}
        for seed, (peers, pool) in enumerate(fitted):
            for peer_name, peer in peers.items():
                for rule, delay in _delays(peer, change, pool, window_rows, retuned[peer_name], seed).items():
                    delays.setdefault(f"{peer_name}: {rule}", []).append(delay)
        found.append(Found(name, change_name, quiet, delays))
    return found


def _fitted(data: Data, rows: int, window_rows: int, seed: int) -> _Split:
    baseline, pool = _split(data, rows, seed)
    peers: dict[str, Peer] = {"Driftline": Driftline(window_rows), "SciPy": BonferroniTests()}
    for peer in peers.values():
        peer.fit(_columns(baseline.values), None)
    return _Split(peers, pool)


def _shares(readings: Sequence[Reading], retuned: Retuned) -> dict[str, float]:
    shares = {rule: float(np.mean([reading.alarms[rule] for reading in readings])) for rule in readings[0].alarms}
    return {**shares, RETUNED: retuned.rate}


def _delays(peer: Peer, change: Change, pool: Data, rows: int, retuned: Retuned, seed: int) -> dict[str, int]:
    peer.restart()
    rng = np.random.default_rng(5_000 + seed)
    found: dict[str, int] = {}
    alarms: dict[str, bool] = {}
    for delay in range(1, _DELAY_LIMIT + 1):
        reading = peer.read(_columns(change(_draw(pool, rows, rng))), np.zeros(rows, dtype=np.int64))
        alarms = {**reading.alarms, RETUNED: retuned.alarms(reading)}
        found |= {rule: delay for rule, alarm in alarms.items() if alarm and rule not in found}
    return {rule: found.get(rule, _DELAY_LIMIT + 1) for rule in alarms}


def image_shifts(digits: Data, splits: int) -> list[Accuracy]:
    """Return how often one sample of digits is found to be shifted at a level of 5%: evidence of 20 has that probability at most."""
    hits: dict[tuple[str, str, int], list[bool]] = {}
    for seed in range(splits):
        baseline, pool = _split(digits, 900, seed)
        methods = _methods(baseline)
        for name, change in IMAGE_SHIFTS.items():
            for rows in SAMPLE_ROWS:
                values = change(_draw(pool, rows, np.random.default_rng(100 * seed + rows)))
                for method, is_shifted in methods.items():
                    hits.setdefault((name, method, rows), []).append(is_shifted(values))
    methods_of = dict.fromkeys(method for _, method, _ in hits)
    return [
        Accuracy(name, method, {str(rows): float(np.mean(hits[name, method, rows])) for rows in SAMPLE_ROWS}) for name in IMAGE_SHIFTS for method in methods_of
    ]


def _methods(baseline: Data) -> dict[str, Callable[[np.ndarray], bool]]:
    pixels = _evidence(_columns(baseline.values))
    vector = _evidence({"image": baseline.values.astype(np.float32)})
    scipy = BonferroniTests()
    scipy.fit(_columns(baseline.values), None)
    return {
        "Driftline, 64 numbers": lambda values: pixels(_columns(values)) >= 1 / _LEVEL,
        "Driftline, a vector": lambda values: vector({"image": values.astype(np.float32)}) >= 1 / _LEVEL,
        "SciPy KS, Bonferroni": lambda values: scipy.read(_columns(values), np.zeros(len(values), dtype=np.int64)).alarms["Bonferroni"],
    }


def _evidence(columns: dict[str, np.ndarray]) -> Callable[[dict[str, np.ndarray]], float]:
    """Return what says how much evidence one sample is by itself."""
    baseline = build_baseline(columns, model="digits", source="scikit-learn", created_at_ns=0)
    detector = DriftDetector(baseline, threshold=1 / _LEVEL, windows=WindowPolicy(max_rows=10**6, max_seconds=None))
    fresh = detector.snapshot()

    def evidence(sample: dict[str, np.ndarray]) -> float:
        detector.restore(fresh)
        detector.update(sample, np.zeros(len(next(iter(sample.values()))), dtype=np.int64))
        return detector.close()[1].evidence

    return evidence


def report(figures: Figures) -> str:
    """Return the tables."""
    rules = list(figures.streams[0].delays) if figures.streams else []
    rows = []
    for each in figures.streams:
        if not rows or rows[-1][0] != each.data:
            rows.append([each.data, "none: share of windows in alarm", *(f"{each.quiet[rule]:.3f}" for rule in rules)])
        rows.append([each.data, each.change, *(_delay(each.delays[rule]) for rule in rules)])
    runs = len(figures.streams[0].delays[rules[0]]) if figures.streams else 0
    parts = [
        (
            f"Median delay in windows of {runs} runs; a dash: not found within {_DELAY_LIMIT} by more than half of them. Driftline's budget is one alert in {BUDGET} windows, and"
            f" *{RETUNED}* alarms in at most one of {BUDGET} windows in which nothing has changed."
        ),
        markdown_table(["data", "change", *rules], rows),
        "Share of samples of digits that were found to be shifted, by the number of images in a sample, at a level of 5%:",
        markdown_table(
            ["shift", "method", *map(str, SAMPLE_ROWS)],
            [[each.change, each.method, *(f"{share:.2f}" for share in each.found.values())] for each in figures.images],
        ),
    ]
    return "\n\n".join([*parts, *(f"Left out: {name} ({why})." for name, why in figures.left_out.items())])


def _delay(delays: Sequence[int]) -> str:
    middle = median(delays)
    return f"{middle:g}" if middle <= _DELAY_LIMIT else "–"


def _from_river(python: Path) -> dict[str, Data]:
    """Return river's data sets, read by a Python that has river."""
    script = (
        "import json; from river import datasets as d;"
        "print(json.dumps({n: [[list(map(float, x.values())), str(y)] for x, y in getattr(d, n)()] for n in ('Phishing', 'ImageSegments')}))"
    )
    tables = json.loads(subprocess.run([str(python), "-c", script], check=True, capture_output=True, text=True).stdout)
    found = {}
    for name, rows in tables.items():
        _, labels = np.unique([label for _, label in rows], return_inverse=True)
        found[name] = Data(np.array([values for values, _ in rows]), labels)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--river", type=Path, default=Path("/tmp/peers/river/bin/python"), help="a Python that has river (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="few windows: to see that it runs")
    parser.add_argument("--json", type=Path, default=Path("bench/results/drift_real.json"), help="where to write the figures (default: %(default)s)")
    arguments = parser.parse_args()
    digits, cancer = load_digits(), load_breast_cancer()
    data = {"digits": Data(digits.data, digits.target), "breast cancer": Data(cancer.data, cancer.target)}
    left_out = {}
    try:
        data |= _from_river(arguments.river)
    except (OSError, subprocess.CalledProcessError):
        left_out["Phishing, ImageSegments"] = "river is not installed"
    splits, windows = (1, 10) if arguments.quick else (8, 75)
    figures = Figures(streams(data, splits, windows), image_shifts(data["digits"], splits), left_out)
    print(report(figures))
    write_json(arguments.json, msgspec.to_builtins(figures))


if __name__ == "__main__":
    main()
