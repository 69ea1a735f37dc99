"""What the trainer orders of a training pod, and how the pod answers: the contract of cluster.py and pod.py."""

from __future__ import annotations

import os

from shared.schemas import Record, TrainRequest

DONE = 0
UNFORESEEN = 1  # Python's own, after a traceback
HOPELESS = os.EX_SOFTWARE  # 70: every other pod would fail the same way
PASSING = os.EX_TEMPFAIL  # 75: the next pod goes on from the newest checkpoint


class PodOrder(Record):
    """Variable TRAINER_ORDER: the job that a pod works for, as a JobContext knows it, and what was asked."""

    job: str
    kind: str
    actor: str
    trace_id: str
    request: TrainRequest
