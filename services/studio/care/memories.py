"""What studio and the other services remember in their job databases of a recording, and who still works with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.studio.care.traces import Traces
from services.studio.care.withdrawal import in_the_way
from services.studio.neighbours import Neighbours
from shared.client import ServiceClient
from shared.forgetting import Forgetting, Forgotten, RememberedJob, carry_out
from shared.jobs import Jobs

AskOthers = Callable[[Forgetting], list[Forgotten]]


class Memories:
    """The jobs that studio and the other services remember. `own` are studio's, known once its app is built."""

    def __init__(self, others: AskOthers) -> None:
        self._others = others
        self.own: Jobs | None = None

    def carry_out(self, forgetting: Forgetting) -> list[Forgotten]:
        own = [carry_out(forgetting, self.own)] if self.own is not None else []
        return [*own, *self._others(forgetting)]


def ask_neighbours(neighbours: Neighbours, forgetting: Forgetting) -> list[Forgotten]:
    """Have every other service forget; raises ServiceUnavailableError while one is away: it remembers too."""

    def ask(service: str, client: ServiceClient) -> Forgotten:
        answer = client.call("POST", "/v1/forgettings", json=forgetting.model_dump(mode="json"), timeout=None)
        return Forgotten.model_validate(answer.json())

    return neighbours.ask_all(ask)


def busy(found: Traces, remembered: Sequence[Forgotten]) -> list[RememberedJob]:
    unfinished = [job for answer in remembered for job in answer.unfinished]
    return [
        job.model_copy(update={"request": {}}) for job in in_the_way(unfinished, found.recording.id, found.names_made)
    ]
