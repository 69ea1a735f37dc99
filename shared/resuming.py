"""Going on with a training run that was stopped or failed: with which settings, and whether it can be gone on with."""

from __future__ import annotations

from shared import keys
from shared.errors import ArtifactMissingError, BadInputError, ConflictError, NotFoundError
from shared.schemas import Dataset, Run, TrainRequest
from shared.store import Store, load

MAY_GROW = ("steps", "epochs")
MAY_CHANGE = ("quantisation", "checkpoint_every", "keep_last", "patience")  # what is learnt stays the same


def read_run(store: Store, show: str, number: int) -> Run:
    """raises NotFoundError for a number that nobody claimed"""
    try:
        return load(store, keys.run(show, number), Run)
    except ArtifactMissingError as error:
        raise NotFoundError(f"show {show} has no run {number}; `diary runs list {show}` shows those it has") from error


def settled(request: TrainRequest, run: Run) -> TrainRequest:
    """An order to resume a run, with the run's own settings wherever it says nothing.

    raises   BadInputError for a setting that a run cannot change on its way
    """
    wished = request.model_dump(include=request.model_fields_set - {"resume"})
    for name, wish in wished.items():
        own = getattr(run.request, name)
        if name in MAY_GROW:
            _demand_no_less(name, wish, own, run)
        elif wish != own and name not in MAY_CHANGE:
            raise BadInputError(
                f"run {run.number} goes on as it was begun: order it with {name} {own}, not {wish}, or train anew "
                "without `resume`"
            )
    return TrainRequest.model_validate({**run.request.model_dump(), **wished, "resume": run.number})


def _demand_no_less(name: str, wish: float | None, own: float | None, run: Run) -> None:
    if own is not None and (wish is None or wish < own):
        given = "none" if wish is None else f"{wish:g}"
        raise BadInputError(f"run {run.number} was begun for {own:g} {name}; it may be given more, not {given}")


def demand_resumable(store: Store, show: str, run: Run, steps: int | None = None) -> None:
    """raises ConflictError for a run that is finished, BadInputError for one with nothing left to go on from

    steps   up to which it is to go on, where that is said
    """
    name = f"run {run.number} of {show}"
    if made := store.list(keys.adapters_of_run(show, run.number)):
        adapter = made[0].rsplit("/", 1)[1].removesuffix(".json")
        raise ConflictError(f"{name} is finished; train a new run with `continue_from` its adapter {adapter}")
    dataset = run.request.dataset
    if load(store, keys.dataset(show, dataset), Dataset).source_withdrawn:
        raise BadInputError(
            f"{name} cannot go on: a recording of its dataset {dataset} was erased, and the examples and checkpoints "
            f"with it; build a new dataset with `diary datasets build {show}` and train anew"
        )
    newest = newest_step(store, show, run.number)
    if newest is None:
        raise BadInputError(
            f"{name} has no checkpoint to go on from: it was stopped before its first one, or they were collected "
            "(STUDIO_KEEP_ABANDONED_DAYS says when) or left out of an import; train anew without `resume`"
        )
    if steps is not None and steps < newest:
        raise BadInputError(f"{name} has made {newest} steps; resume it with as many `steps` or more, not {steps}")


def newest_step(store: Store, show: str, number: int) -> int | None:
    """That of the newest checkpoint of a run."""
    found = store.list(keys.checkpoints(show, number))
    return int(found[-1].rsplit("/", 1)[1].removesuffix(".json")) if found else None
