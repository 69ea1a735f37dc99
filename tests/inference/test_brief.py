"""What a brief leaves open, as the show's real episodes and the guest's fact sheet settle it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.inference import job as story
from shared import keys
from shared.schemas import Episode, EpisodeRequest, HostMethod, Role, Speaker, Transcript, Turn
from shared.store import create_manifest, load, point
from tests.fakes import FakeJob, MemoryStore, ScriptedVllmEngine
from tests.inference.conftest import LINEAGE, SHOW


def add_real(store: MemoryStore, recording: str, words: int, seconds: float | None) -> None:
    """A real episode of so many words."""
    said = Turn(speaker="S1", role=Role.HOST, start_s=0, end_s=1, text="word " * words)
    transcript = Transcript(
        id="t", recording=recording, show=SHOW.slug, kind="machine", speakers=(Speaker(label="S1", role=Role.HOST),),
        host_method=HostMethod.SET, turns=(said,), duration_s=seconds, lineage=LINEAGE,
    )  # fmt: skip
    create_manifest(store, keys.transcript(SHOW.slug, recording, "t"), transcript)
    point(store, keys.transcript_head(SHOW.slug, recording), b"t")


@pytest.mark.parametrize("wish", [{"minutes": 0}, {"minutes": 10_000}, {"words": 5}, {"words": 9_000, "minutes": 10}])
def test_lengths_that_cannot_be_are_refused(wish):
    with pytest.raises(ValidationError):
        EpisodeRequest(show="lamp", guest="Theo", **wish)


def test_show_and_guest_are_enough(store, renderer, job, settings):
    for number, words in enumerate((90, 120, 300)):
        add_real(store, f"rec{number}", words, 60.0)

    result = story.run(
        EpisodeRequest(show=SHOW.slug, guest="Theo"),
        job=job, store=store, engine=ScriptedVllmEngine(renderer), settings=settings,
    )  # fmt: skip

    episode = load(store, result.key, Episode)
    assert episode.brief.words == 120 and 108 <= episode.report.words <= 132
    assert episode.turns[0].target_words == 120


def test_an_episode_that_is_begun_keeps_its_length(store, renderer, job, settings, tmp_path):
    add_real(store, "rec1", 120, 60.0)
    request = EpisodeRequest(show=SHOW.slug, guest="Theo")
    engine = ScriptedVllmEngine(renderer)

    def die(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    engine.before = die
    with pytest.raises(KeyboardInterrupt):
        story.run(request, job=job, store=store, engine=engine, settings=settings)
    add_real(store, "rec2", 3_000, 60.0)

    again = FakeJob(tmp_path, job.id)
    result = story.run(request, job=again, store=store, engine=ScriptedVllmEngine(renderer), settings=settings)

    assert load(store, result.key, Episode).brief.words == 120
