"""Rows of AI episodes: newest first, read once, forgotten with what they tell of."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from services.studio.pages.shelf import Shelf
from shared import keys
from shared.schemas import Episode
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show
from tests.studio.pages.an_episode import an_episode, put_episode, turns_of


class CountingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()

    def read(self, key: str) -> tuple[bytes, str]:
        self.reads[key] += 1
        return super().read(key)


def made(name: str, day: int, **facts) -> Episode:
    episode = an_episode(turns_of(["Hello?", "Hi."]), id=name, **facts)
    at = datetime(2031, 5, day, tzinfo=UTC)
    return episode.model_copy(update={"lineage": episode.lineage.model_copy(update={"made_at": at})})


def test_rows_come_newest_first_and_an_episode_is_read_once():
    store = CountingStore()
    put_show(store)
    put_episode(store, made("older", 1))
    put_episode(store, made("newer", 2, adapter=None, fine_tuned=False, revises="older", changes="turn 1 again"))
    shelf = Shelf(store)

    rows = shelf.episodes("lamp")
    again = shelf.episodes("lamp")

    assert [row.id for row in rows] == ["newer", "older", "e1"] and again == rows
    assert (rows[0].writer, rows[0].fine_tuned, rows[0].revises, rows[0].changes) == (
        "base",
        False,
        "older",
        "turn 1 again",
    )
    assert (rows[1].writer, rows[1].words, rows[1].verdict[:5]) == ("lamp.r1.c4", 2, "sound")
    assert store.reads[keys.episode("lamp", "older")] == 1
    assert shelf.sheets("lamp") == []


def test_what_changed_is_read_anew_and_what_is_gone_is_nowhere_remembered():
    store = CountingStore()
    put_show(store)
    episode = put_episode(store, made("older", 1))
    shelf = Shelf(store)
    shelf.episodes("lamp")

    key = keys.episode("lamp", "older")
    store.objects[key] = episode.model_copy(update={"source_withdrawn": ("spoken",)}).model_dump_json().encode()
    assert shelf.episodes("lamp")[0].source_withdrawn == 1

    store.delete(key)
    assert [row.id for row in shelf.episodes("lamp")] == ["e1"]
    assert not [known for known in shelf._rows if "older" in known]
