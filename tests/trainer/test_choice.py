from __future__ import annotations

import pytest

from services.trainer.choice import best_point, is_stuck
from shared.schemas import GuestLoss, Judged, MetricPoint


def point(step: int, loss: float | None, recited: float = 0.0) -> MetricPoint:
    judged = Judged(guests=(GuestLoss(guest="Ann", loss=1.0, tokens=1),), recited=recited, longest_recited_words=0)
    return MetricPoint(step=step, tokens=step, eval_loss=loss, judged=None if loss is None else judged)


def best_step(points: list[MetricPoint], limit: float) -> int | None:
    best = best_point(points, limit)
    return best.step if best else None


def test_the_best_checkpoint_has_the_lowest_held_out_loss():
    points = [point(0, 3.0), point(1, None), point(2, 2.5), point(4, 2.3), point(6, 2.4)]

    assert best_step(points, limit=0.1) == 4


def test_one_that_recites_is_not_best_however_low_its_loss():
    points = [point(0, 3.0), point(2, 2.5, recited=0.1), point(4, 2.3, recited=0.4)]

    assert best_step(points, limit=0.1) == 2


def test_where_all_recite_the_one_that_recites_least_is_kept():
    assert best_step([point(0, 3.0), point(2, 2.5, 0.3), point(4, 2.3, 0.6)], limit=0.1) == 2


def test_of_equal_ones_the_earlier_is_kept():
    assert best_step([point(2, 2.5), point(4, 2.5)], limit=0.1) == 2


@pytest.mark.parametrize("points", [[], [point(0, 3.0)], [point(0, 3.0), point(1, None)]])
def test_the_base_model_and_steps_nobody_judged_are_no_checkpoints(points):
    assert best_point(points, limit=0.1) is None


@pytest.mark.parametrize(
    ("losses", "patience", "stuck"),
    [
        ([3.0, 2.5, 2.6, 2.7], 2, True),
        ([3.0, 2.5, 2.6, 2.4], 2, False),
        ([3.0, 3.1], 2, False),
        ([3.0, 3.1, 3.2], 2, True),
        ([3.0, 3.1, 3.2, 3.3], 0, False),
    ],
)
def test_a_run_is_stuck_when_several_checkpoints_in_a_row_are_no_better(losses, patience, stuck):
    assert is_stuck([point(step, loss) for step, loss in enumerate(losses)], patience) is stuck
