"""Figures from samples: percentiles, and ratios that machine drift does not bend."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that ``share`` (0..1) of all samples do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def summary(samples: Sequence[float]) -> dict[str, float]:
    """Number, mean, median, 90th and 99th percentile, lowest and highest."""
    return {
        "n": len(samples),
        "mean": statistics.fmean(samples),
        "median": statistics.median(samples),
        "p90": percentile(samples, 0.90),
        "p99": percentile(samples, 0.99),
        "min": min(samples),
        "max": max(samples),
    }


def paired_ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """How many times faster we are: the median over rounds of their time by ours.

    Each round's figures were taken one after the other, so what slows the machine for a while
    slows both.
    """
    return statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
