"""Orders that go on with a stopped training run: settled and checked before they are queued; trying again is one."""

from __future__ import annotations

from collections.abc import Callable

from services.studio.doors.runs import order_of, run_of_order
from services.studio.library import Library
from shared.errors import ArtifactMissingError, BadInputError, ConflictError, NotFoundError
from shared.jobs import Jobs
from shared.resuming import demand_resumable, read_run, settled
from shared.schemas import Job, PipelineRequest, Run, TrainOptions, TrainRequest
from shared.store import Store

TRAINS = ("train", "pipeline")
RECENT = 100  # jobs of a kind among which those that have not ended are looked for


class Resuming:
    """jobs   studio's own, known once its app is built"""

    def __init__(self, store: Store, jobs: Callable[[], Jobs | None]) -> None:
        self._store, self._library, self._jobs = store, Library(store), jobs

    def demand(self, request: TrainRequest) -> None:
        """raises what speaks against resuming the run that an order names; see shared/resuming.py"""
        if request.resume is None:
            return
        run = read_run(self._store, request.show, request.resume)
        settled(request, run)
        demand_resumable(self._store, request.show, run, request.steps)
        jobs = self._jobs()
        if jobs is not None and (working := order_at_work(jobs, request.show, run.number, order_of(run.job))):
            raise ConflictError(
                f"job {working.id} works on run {run.number} of {request.show} right now, or will; follow it with "
                f"`diary jobs follow {working.id}`, or cancel it first"
            )

    def settle(self, request: TrainRequest) -> TrainRequest:
        """With the settings of the run that is resumed: the job tells them, and an erasure finds it by them."""
        if request.resume is None:
            return request
        return settled(request, read_run(self._store, request.show, request.resume))

    def again(self, job_id: str, request: TrainRequest) -> TrainRequest:
        """What a job asked for, to be tried again: the run that it has begun goes on, if it can."""
        run = self._left_by(request.show, job_id)
        return request if run is None else resumed(run)

    def demand_story(self, request: PipelineRequest) -> None:
        """As `demand`, of an order for the whole story."""
        if request.training.resume is not None:
            self.demand(self._training_of(request, request.training.resume))

    def settle_story(self, request: PipelineRequest) -> PipelineRequest:
        """As `settle`, of an order for the whole story."""
        if request.training.resume is None:
            return request
        wanted = self.settle(self._training_of(request, request.training.resume))
        return request.model_copy(update={"training": options_of(wanted)})

    def story_again(self, job_id: str, request: PipelineRequest) -> PipelineRequest:
        run = self._left_by(request.show, job_id)
        return request if run is None else request.model_copy(update={"training": options_of(resumed(run))})

    def _training_of(self, request: PipelineRequest, number: int) -> TrainRequest:
        """As if its dataset were still that of the run: which one it will be, nobody knows yet."""
        dataset = read_run(self._store, request.show, number).request.dataset
        return TrainRequest(show=request.show, dataset=dataset, **request.training.model_dump(exclude_unset=True))

    def _left_by(self, show: str, job_id: str) -> Run | None:
        """The run that an order has left behind, if it can be gone on with."""
        number = run_of_order(self._library, show, job_id)
        if number is None:
            return None
        run = self._library.run(show, number)
        try:
            demand_resumable(self._store, show, run)
        except (ConflictError, BadInputError, ArtifactMissingError):
            return None  # then it is tried from the start
        return run


def resumed(run: Run) -> TrainRequest:
    """An order to go on with a run as it is."""
    return run.request.model_copy(update={"resume": run.number})


def options_of(request: TrainRequest) -> TrainOptions:
    return TrainOptions.model_validate(request.model_dump(exclude={"show", "dataset"}))


def order_at_work(jobs: Jobs, show: str, number: int, last: str) -> Job | None:
    """The order that works on a run, or waits to go on with it.

    last   the order that the run belongs to
    """
    for kind in TRAINS:
        for job in jobs.list(show=show, kind=kind, limit=RECENT):
            if not job.state.ended and _wants(jobs, job.id) == number:
                return job
    try:
        job = jobs.get(last)
    except NotFoundError:  # studio has forgotten it, or it was never its own
        return None
    return None if job.state.ended else job


def _wants(jobs: Jobs, job_id: str) -> int | None:
    """The run that an order is to resume."""
    asked = jobs.request(job_id)
    training = asked.training if isinstance(asked, PipelineRequest) else asked
    return training.resume if isinstance(training, TrainOptions) else None
