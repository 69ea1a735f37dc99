"""What the trainer orders of a training pod, and how the pod answers: the contract of cluster.py and pod.py."""

from __future__ import annotations

import os
import signal

from shared.schemas import Record, TrainRequest

DONE = 0
UNFORESEEN = 1  # Python's own, after a traceback
HOPELESS = os.EX_SOFTWARE  # 70: every other pod would fail the same way
PASSING = os.EX_TEMPFAIL  # 75: the next pod goes on from the newest checkpoint
STOPPED = 128 + signal.SIGTERM  # 143: so does it after a pod that was told to go, however many there were


class PodOrder(Record):
    """Variable TRAINER_ORDER: the job that a pod works for, as a JobContext knows it, and what was asked."""

    job: str
    kind: str
    actor: str
    trace_id: str
    request: TrainRequest
