"""Which of a show's adapters is the best one."""

from __future__ import annotations

from collections.abc import Iterable

from shared.schemas import Adapter


def best_of(adapters: Iterable[Adapter]) -> Adapter | None:
    """The lowest held-out loss; one that recites more than its run allowed only where all do."""
    return min(adapters, key=lambda adapter: (adapter.recites, adapter.eval_loss_after, adapter.name), default=None)
