"""AI episodes for the pages' tests: measured as inference measures them, with whatever a test wants them to say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from shared import keys
from shared.conversation import Spoken
from shared.report import measure
from shared.schemas import Episode, EpisodeRequest, EpisodeTurn, Lineage, RecitedSpan
from shared.store import Store, create_manifest

ROLES = ("host", "guest")
HOSTILE = '<script>alert(1)</script> </script><img src=x onerror="alert(2)"> & \u2028 {{ 7 * 7 }} "quoted"'
SYLLABLES = ("lo", "ra", "mi", "ten", "gar", "su", "vel", "po", "ni", "dra", "kel", "fo")


def said(words: int, seed: int = 1) -> str:
    """Text of so many words that repeats nothing."""
    draw = random.Random(seed)
    made = ["".join(draw.choices(SYLLABLES, k=3)) for _ in range(words)]
    return f"{' '.join(made).capitalize()}."


def turns_of(texts: Sequence[str], **facts: Any) -> tuple[EpisodeTurn, ...]:
    """Host and guest by turns."""
    return tuple(
        EpisodeTurn(
            index=index, role=ROLES[index % 2], speaker=("Mara Quill", "Orla Finch")[index % 2], text=text,
            tokens=len(text.split()), **facts,
        )  # type: ignore[arg-type]
        for index, text in enumerate(texts)
    )  # fmt: skip


def an_episode(
    turns: Sequence[EpisodeTurn], recited: tuple[RecitedSpan, ...] | None = (), words: int | None = None, **facts: Any
) -> Episode:
    """An episode `e7` of the show `lamp`, by its adapter, with the report that its turns deserve."""
    spoken = [Spoken(role=turn.role, text=turn.text, closed=turn.closed) for turn in turns]
    brief = EpisodeRequest.model_validate(
        {"show": "lamp", "guest": "Orla Finch", "words": words, **facts.pop("brief", {})}
    )
    known: dict[str, Any] = {
        "id": "e7",
        "show": "lamp",
        "guest": "Orla Finch",
        "host": "Mara Quill",
        "brief": brief,
        "adapter": "lamp.r1.c4",
        "fine_tuned": True,
        "label": "tiny with lamp.r1.c4",
        "canary": True,
        "base_model": "tests/tiny",
        "base_revision": "r" * 40,
        "turns": tuple(turns),
        "report": measure(spoken, target_words=words, recited=recited),
        "lineage": Lineage(
            made_from=({"key": keys.adapter("lamp", "lamp.r1.c4"), "sha256": "a" * 64},),  # type: ignore[arg-type]
            by="inference", version="0.1.0", job="order-07", actor="ann",
        ),
    }  # fmt: skip
    return Episode.model_validate({**known, **facts})


def put_episode(store: Store, episode: Episode) -> Episode:
    create_manifest(store, keys.episode(episode.show, episode.id), episode)
    return episode
