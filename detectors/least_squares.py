"""Least squares without negative coefficients: the active set of Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23.

SciPy has it as well, in `scipy.optimize`, whose import takes more memory than all detectors together; the problems here have some ten coefficients.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats

_NEGLIGIBLE: Final = 1e-12


def non_negative_least_squares(matrix: Floats, target: Floats) -> Floats:
    """Return the coefficients x ≥ 0 that make |matrix · x - target| least; `matrix` is rows × coefficients.

    >>> non_negative_least_squares(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([2.0, -1.0])).tolist()
    [2.0, 0.0]
    """
    count = matrix.shape[1]
    solution, free = np.zeros(count), np.zeros(count, dtype=np.bool_)
    least_gain = _NEGLIGIBLE * float(np.abs(matrix).sum() * np.abs(target).max(initial=0.0))
    for _ in range(3 * count):  # as many rounds as Lawson and Hanson allow; a coefficient that numerical noise frees in vain would come back for ever
        gain = np.where(free, -np.inf, matrix.T @ (target - matrix @ solution))
        if gain.max(initial=-np.inf) <= least_gain:
            break
        free[gain.argmax()] = True
        solution = _settled(matrix, target, solution, free)
    return solution


def _settled(matrix: Floats, target: Floats, solution: Floats, free: npt.NDArray[np.bool_]) -> Floats:
    """Go from `solution` towards the best one with these coefficients free; take out of `free` those that reach 0 on the way."""
    while True:
        best = np.zeros_like(solution)
        best[free] = np.linalg.lstsq(matrix[:, free], target)[0]
        barred = np.flatnonzero(free & (best <= 0))
        if not len(barred):
            return best
        ways = solution[barred] / (solution[barred] - best[barred] + np.finfo(np.float64).tiny)
        solution = solution + ways.min() * (best - solution)
        free[barred[ways.argmin()]] = False
        free[barred[solution[barred] <= 0]] = False
        solution[~free] = 0.0
