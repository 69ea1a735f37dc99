"""Which checkpoint of a run is best, and whether going on is worth it: from its figures alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from shared.schemas import MetricPoint


def best_point(points: Sequence[MetricPoint], limit: float) -> MetricPoint | None:
    """The judged step with the lowest held-out loss among those that recite no more than `limit`.

    Where all recite more, the one that recites least. None while no step was judged; step 0 is no checkpoint.
    """
    judged = [point for point in points if point.step > 0 and point.eval_loss is not None]
    within = [point for point in judged if recited(point) <= limit]
    if within:
        return min(within, key=lambda point: (point.eval_loss, point.step))
    return min(judged, key=lambda point: (recited(point), point.eval_loss, point.step), default=None)


def recited(point: MetricPoint) -> float:
    return point.judged.recited if point.judged else 0.0


def is_stuck(points: Sequence[MetricPoint], patience: int) -> bool:
    """Whether the last `patience` judged steps brought no lower held-out loss than those before them; never with 0."""
    losses = [point.eval_loss for point in points if point.eval_loss is not None]
    return 0 < patience < len(losses) and min(losses[-patience:]) >= min(losses[:-patience])
