"""An episode of six turns to be spoken, with the show it belongs to."""

from __future__ import annotations

from typing import Any

from shared import keys
from shared.schemas import Episode, EpisodeRequest, EpisodeTurn, Lineage, Show
from shared.store import Store, create_manifest
from tests.studio.a_show import REPORT

SHOW = Show(slug="lamp", title="The Lamp Room", host="Mara Quill")
TEXTS = (
    "Welcome to the Lamp Room. Orla, how did you come to mend clocks?",
    "My father mended them, and I sat under the bench. Dr. Hale gave me a watch when I was nine.",
    "What did you do with it?",
    "I took it apart, cleaned it, and never managed to put it together again.",
    "What would you tell a child who wants to begin today?",
    "Begin with something that is broken already. Nobody minds then.",
)


def episode(*texts: str, chapters: tuple[str, ...] = (), **brief: Any) -> Episode:
    """Host and guest say these in turn; `brief` is added to the brief."""
    said = texts or TEXTS
    titles = (*chapters, *[""] * len(said))
    return Episode(
        id="e1",
        show=SHOW.slug,
        guest="Orla Finnegan",
        host=SHOW.host,
        brief=EpisodeRequest(show=SHOW.slug, guest="Orla Finnegan", **brief),
        adapter=None,
        fine_tuned=False,
        label="tests/tiny, not fine-tuned",
        canary=None,
        base_model="tests/tiny",
        base_revision="r" * 40,
        turns=tuple(
            EpisodeTurn(
                index=index,
                role="guest" if index % 2 else "host",
                speaker="Orla Finnegan" if index % 2 else SHOW.host,
                text=text,
                tokens=1,
                chapter=titles[index],
            )
            for index, text in enumerate(said)
        ),
        report=REPORT,
        lineage=Lineage(by="inference", version="0", job="job-0", actor="tester"),
    )


def put_episode(store: Store, made: Episode, show: Show = SHOW) -> None:
    create_manifest(store, keys.show(show.slug), show)
    create_manifest(store, keys.episode(show.slug, made.id), made)
