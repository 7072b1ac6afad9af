"""The picture of an explained feature in docs/drift.md: `python -m bench.explanation_picture`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from console.picture import picture
from detectors.baseline import build_baseline
from detectors.drift import DriftDetector
from detectors.explanation import explain
from detectors.windows import WindowPolicy

PAGE_IMAGE = Path(__file__).parents[1] / "docs/images/explanation.svg"
CREATED_AT_NS = 1_772_323_200_000_000_000  # 2026-03-01T00:00:00Z
WEEK_NS = 7 * 86_400 * 10**9


def amounts(rows: int, seed: int, factor: float = 1.0) -> dict[str, np.ndarray]:
    """Payments; with a factor, in another currency."""
    return {"amount": factor * np.exp(np.random.default_rng(seed).normal(4.0, 0.5, rows))}


def drawn() -> str:
    """Return the picture of the window in which payments are a third higher."""
    baseline = build_baseline(amounts(5_000, 1), model="fraud", version="3", source="training.parquet", created_at_ns=CREATED_AT_NS)
    detector = DriftDetector(baseline, threshold=1_000.0, windows=WindowPolicy(max_rows=1_000, max_seconds=None))
    times_ns = CREATED_AT_NS + WEEK_NS + np.arange(1_000) * 10**9
    ((summary, verdict),) = detector.update(amounts(1_000, 2, 1.33), times_ns)
    explanation = explain(baseline, summary, verdict, ())
    return picture(explanation, explanation.features[0])


def main() -> None:
    PAGE_IMAGE.write_text(drawn(), encoding="utf-8")


if __name__ == "__main__":
    main()
