"""Refreshing a source: what is new comes once, what fails stops nobody, a killed refresh goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest

from services.ingest.catalogue import Catalogue, Item, TranscriptLink
from services.ingest.refresh import TROUBLES_IN_A_ROW, refresh
from services.ingest.settings import Settings
from shared import keys
from shared.errors import BadAudioError, NoSpaceError, NotFoundError, SourceUnavailableError
from shared.schemas import Recording, Tombstone, Transcript
from shared.store import load
from shared.subscriptions import Filters, LastRefresh, RefreshRequest, RefreshResult, SourceSecret, Subscription
from tests.fakes import DyingStore, FakeJob, MemoryStore, ScriptedIngestEngine

FEED = "https://example.org/feed.xml"


def item(number: int, **more: object) -> Item:
    facts = {"identity": f"guid-{number}", "url": address(number), "title": f"Bread {number} with Ben Marsh"}
    return Item.model_validate({**facts, "published_on": date(2026, 1, 1 + number), "duration_s": 60.0, **more})


def address(number: int) -> str:
    return f"https://example.org/{number}.mp3?token=secret"


def engine_with(
    *items: Item, etag: str = "", pages: Mapping[str, bytes | Exception] | None = None
) -> ScriptedIngestEngine:
    there = {one.url: b"ID3\x00 audio of " + one.identity.encode() for one in items}
    catalogue = Catalogue(kind="feed", title="Lamplight", items=items, etag=etag)
    return ScriptedIngestEngine(pages={**there, **(pages or {})}, catalogue=catalogue)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(work_dir=tmp_path / "work", pause_s=0)


def subscribe(store: MemoryStore, **facts: object) -> None:
    source = Subscription.model_validate({"id": "s1", "show": "lamplight", "address": FEED, **facts})
    store.objects[keys.source("lamplight", "s1")] = source.model_dump_json().encode()


@pytest.fixture
def refreshed(store: MemoryStore, settings: Settings, tmp_path: Path) -> Callable[..., RefreshResult]:
    numbers = iter(range(100))

    def run(engine: ScriptedIngestEngine, job_id: str = "", **wishes: object) -> RefreshResult:
        name = job_id or f"job-{next(numbers)}"
        (tmp_path / name).mkdir(exist_ok=True)
        request = RefreshRequest.model_validate({"show": "lamplight", "source": "s1", **wishes})
        return refresh(request, job=FakeJob(tmp_path / name, name), store=store, engine=engine, settings=settings)

    subscribe(store)
    return run


def recordings(store: MemoryStore) -> list[Recording]:
    return [load(store, key, Recording) for key in store.list(keys.recordings("lamplight"))]


def test_all_of_a_feed_comes_once_and_a_second_refresh_fetches_nothing(store: MemoryStore, refreshed):
    engine = engine_with(item(1), item(2), item(3))

    first, second = refreshed(engine), refreshed(engine)

    assert (first.new, len(first.recordings), second.new, second.known, second.recordings) == (3, 3, 0, 3, ())
    assert len(recordings(store)) == 3
    assert engine.calls.count("download") == 3


def test_what_a_feed_says_is_kept_and_no_secret_is(store: MemoryStore, refreshed):
    about = {"description": "Bread.", "page_url": "https://example.org/bread", "guests": ("Rosa Field",)}
    refreshed(engine_with(item(1, **about)))

    (recording,) = recordings(store)
    assert (recording.title, recording.description) == ("Bread 1 with Ben Marsh", "Bread.")
    assert (recording.guest, recording.published_on) == ("Rosa Field", date(2026, 1, 2))
    assert recording.guest_guess is not None and recording.guest_guess.found_in == "persons"
    assert all(b"secret" not in data for data in store.objects.values())


def test_chapters_and_the_published_transcript_come_along(store: MemoryStore, refreshed):
    chapters = b'{"chapters": [{"startTime": 0, "title": "Trailer"}, {"startTime": 5, "title": "Talk"}]}'
    said = (
        b"WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n<v Mara Quill>Hello.\n\n00:05.000 --> 00:06.000\n<v Ben Marsh>Hi.\n"
    )
    link = TranscriptLink(url="https://example.org/t.vtt", media_type="text/vtt")
    one = item(1, chapters_url="https://example.org/c.json", transcripts=(link,))
    refreshed(engine_with(one, pages={one.chapters_url: chapters, link.url: said}))

    (recording,) = recordings(store)
    assert [(span.end_s, span.reason) for span in recording.excluded_spans] == [(5.0, "trailer")]
    (candidate,) = recording.candidates
    transcript = load(store, keys.transcript("lamplight", recording.id, candidate.revision), Transcript)
    assert [turn.text for turn in transcript.turns] == ["Hello.", "Hi."]
    assert not store.exists(keys.transcript_head("lamplight", recording.id)), "a candidate is not current by itself"


def test_chapters_or_transcripts_that_cannot_be_had_are_a_warning(store: MemoryStore, refreshed):
    link = TranscriptLink(url="https://example.org/t.vtt", media_type="text/vtt")
    one = item(1, chapters_url="https://example.org/c.json", transcripts=(link,))
    away = SourceUnavailableError("the site is busy")
    result = refreshed(engine_with(one, pages={one.chapters_url: b"<html>", link.url: away}))

    (recording,) = recordings(store)
    assert result.failed == () and len(recording.warnings) == 2
    assert "chapters" in recording.warnings[0] and "busy" in recording.warnings[1]


def test_one_that_fails_stops_nobody_says_why_and_is_not_fetched_again_unless_asked(store: MemoryStore, refreshed):
    bad = item(2)
    engine = engine_with(item(1), bad, item(3), pages={bad.url: BadAudioError("it is silent; export it again")})

    first, second, third = refreshed(engine), refreshed(engine), refreshed(engine, retry=True)

    assert len(recordings(store)) == 2
    for result in (first, second, third):
        assert [(one.title, one.problem, one.again) for one in result.failed] == [
            ("Bread 2 with Ben Marsh", "it is silent; export it again", False)
        ]
    assert engine.calls.count("download") == 3 + 0 + 1


def test_a_site_that_is_busy_is_tried_again_now_and_at_the_next_refresh(store: MemoryStore, refreshed, monkeypatch):
    monkeypatch.setattr("services.ingest.refresh.LONGEST_WAIT_S", 0.0)
    busy = item(1)
    engine = engine_with(busy, item(2), pages={busy.url: SourceUnavailableError("busy (HTTP 429)")})

    first = refreshed(engine)
    engine.pages[busy.url] = b"ID3\x00 there again"
    second = refreshed(engine)

    assert [(one.again, one.problem) for one in first.failed] == [(True, "busy (HTTP 429)")]
    assert (second.failed, len(recordings(store))) == ((), 2)


def test_a_site_that_fails_again_and_again_is_left_alone(refreshed, monkeypatch):
    monkeypatch.setattr("services.ingest.refresh.LONGEST_WAIT_S", 0.0)
    items = [item(number) for number in range(1, 9)]
    engine = engine_with(*items, pages={one.url: SourceUnavailableError("busy") for one in items})

    result = refreshed(engine)

    assert len(result.failed) == TROUBLES_IN_A_ROW and all(one.again for one in result.failed)
    assert engine.calls.count("download") <= 3 * TROUBLES_IN_A_ROW
    assert "3 more were not tried" in result.warnings[0]


def test_some_that_always_fail_do_not_keep_the_others_from_their_turn(store: MemoryStore, refreshed, monkeypatch):
    monkeypatch.setattr("services.ingest.refresh.LONGEST_WAIT_S", 0.0)
    items = [item(number) for number in range(1, 9)]
    engine = engine_with(*items, pages={one.url: SourceUnavailableError("busy") for one in items[:6]})

    refreshed(engine), refreshed(engine)

    assert len(recordings(store)) == 2


def test_a_site_that_asks_for_an_hour_is_not_asked_again_before_the_next_refresh(refreshed):
    items = [item(number) for number in range(1, 4)]
    engine = engine_with(*items, pages={one.url: SourceUnavailableError("slow down", 3600.0) for one in items})

    result = refreshed(engine)

    assert engine.calls.count("download") == 1 and len(result.failed) == 1
    assert "2 more were not tried" in result.warnings[0]


def test_a_disk_too_small_for_one_does_not_keep_the_others_out(store: MemoryStore, refreshed):
    large = item(2)
    engine = engine_with(item(1), large, item(3), pages={large.url: NoSpaceError("there is no room; free some")})

    result = refreshed(engine)

    assert len(recordings(store)) == 2
    assert [(one.problem, one.again) for one in result.failed] == [("there is no room; free some", True)]


def test_one_whose_files_own_chapters_or_transcript_are_nonsense_stops_nobody(store: MemoryStore, refreshed):
    link = TranscriptLink(url="https://example.org/t.json", media_type="application/json")
    odd = item(2, chapters_url="https://example.org/c.json", transcripts=(link,))
    pages: dict[str, bytes | Exception] = {
        odd.chapters_url: b'{"chapters": [{"startTime": ' + b"9" * 400 + b"}]}",
        link.url: b'{"segments": [{"startTime": NaN, "endTime": 1, "body": "Hello", "speaker": "Ben Marsh"}]}',
    }

    result = refreshed(engine_with(item(1), odd, item(3), pages=pages))

    assert result.failed == () and len(recordings(store)) == 3
    assert [len(one.warnings) for one in recordings(store) if one.title == odd.title] == [2]


def test_a_refresh_that_was_killed_goes_on_with_what_has_no_marker(
    settings: Settings, store: MemoryStore, tmp_path: Path
):
    subscribe(store)
    items = [item(number) for number in range(1, 6)]
    request = RefreshRequest(show="lamplight", source="s1")
    dying = DyingStore(store.objects)
    for after in range(1, 60):
        dying.changes_left = after % 9
        folder = tmp_path / f"w{after}"
        folder.mkdir()
        with suppress(KeyboardInterrupt):
            refresh(request, job=FakeJob(folder), store=dying, engine=engine_with(*items), settings=settings)
    store.objects = dying.objects
    result = refresh(request, job=FakeJob(tmp_path), store=store, engine=engine_with(*items), settings=settings)

    assert len(recordings(store)) == 5 and len(result.recordings) == 5
    assert result.new == 0


def test_a_site_with_new_adverts_in_each_download_gives_one_recording_in_spite_of_kills(
    settings: Settings, store: MemoryStore, tmp_path: Path
):
    subscribe(store)
    engine = engine_with(item(1))
    dying = DyingStore(store.objects)
    for death in (*range(9), 99):
        engine.pages[item(1).url] = b"ID3\x00 with advert %d" % death
        dying.changes_left = death
        folder = tmp_path / f"w{death}"
        folder.mkdir()
        with suppress(KeyboardInterrupt):
            request = RefreshRequest(show="lamplight", source="s1")
            refresh(request, job=FakeJob(folder), store=dying, engine=engine, settings=settings)
    store.objects = dying.objects

    assert len(recordings(store)) == 1 and engine.calls.count("download") == 1
    assert not list(settings.downloads.glob("[!.]*"))


def test_a_dry_run_tells_what_would_come_and_fetches_nothing(store: MemoryStore, refreshed):
    engine = engine_with(item(1), item(2))

    result = refreshed(engine, dry_run=True)

    assert (result.dry_run, result.new, result.hours) == (True, 2, 0.03)
    assert [found.title for found in result.first] == ["Bread 1 with Ben Marsh", "Bread 2 with Ben Marsh"]
    assert "download" not in engine.calls and recordings(store) == []
    assert not store.exists(keys.refresh("lamplight", "s1"))


def test_a_feed_that_has_not_changed_is_not_read_again_unless_the_filters_have(store: MemoryStore, refreshed):
    engine = engine_with(item(1), item(2), etag='"v1"')
    refreshed(engine)

    assert [getattr(refreshed(engine), name) for name in ("found", "known", "new")] == [2, 2, 0]
    subscribe(store, filters=Filters(newest=1))
    result = refreshed(engine)

    assert result.found == 2 and load(store, keys.refresh("lamplight", "s1"), LastRefresh).filters.newest == 1


def test_a_refresh_that_was_killed_after_its_last_write_still_names_what_it_made(store: MemoryStore, refreshed):
    engine = engine_with(item(1), item(2), etag='"v1"')
    first, repeated, later = refreshed(engine, "job-a"), refreshed(engine, "job-a"), refreshed(engine, "job-b")

    assert set(repeated.recordings) == set(first.recordings) and len(first.recordings) == 2
    assert later.recordings == () and engine.calls.count("download") == 2


def test_what_was_erased_does_not_come_back_even_under_another_name(store: MemoryStore, refreshed):
    engine = engine_with(item(1))
    (recording,) = refreshed(engine).recordings
    for key in store.list(keys.recordings("lamplight")):
        store.delete(key)
    tombstone = Tombstone(recording=recording, by="tester")
    store.objects[keys.tombstone("lamplight", recording)] = tombstone.model_dump_json().encode()

    same = refreshed(engine)
    renamed = item(7, url=item(1).url)
    assert engine.catalogue is not None
    engine.catalogue = engine.catalogue.model_copy(update={"items": (renamed,)})
    moved, after = refreshed(engine), refreshed(engine)

    assert (same.erased, moved.failed, moved.recordings, after.erased) == (1, (), (), 1)
    assert recordings(store) == []


def test_what_is_erased_while_a_refresh_runs_is_not_named_in_its_result(store: MemoryStore, refreshed):
    engine = engine_with(item(1), item(2))
    (first, _) = refreshed(engine).recordings
    newer = item(3)
    engine.pages[newer.url] = b"ID3\x00 the newest"
    assert engine.catalogue is not None
    engine.catalogue = engine.catalogue.model_copy(update={"items": (newer, *engine.catalogue.items)})
    erase = Tombstone(recording=first, by="tester").model_dump_json().encode()
    engine.at_convert = lambda: store.objects.update({keys.tombstone("lamplight", first): erase})

    result = refreshed(engine)

    assert (result.erased, result.new, len(result.recordings)) == (1, 1, 1)
    assert "Bread 1" not in result.model_dump_json()


def test_what_is_erased_while_it_comes_is_taken_back(store: MemoryStore, refreshed):
    engine = engine_with(item(1))
    erased = hashlib.sha256(b"ID3\x00 audio of guid-1").hexdigest()[:16]
    erase = Tombstone(recording=erased, by="tester").model_dump_json().encode()
    engine.at_convert = lambda: store.objects.update({keys.tombstone("lamplight", erased): erase})

    result = refreshed(engine)

    assert (recordings(store), result.recordings, result.failed) == ([], (), ())


def test_a_private_source_is_asked_by_its_whole_address(store: MemoryStore, refreshed):
    subscribe(store, private=True, address="https://***@example.org/feed.xml")
    secret = SourceSecret(address="https://me:pass@example.org/feed.xml")
    engine = engine_with(item(1))

    with pytest.raises(NotFoundError, match="diary sources add"):
        refreshed(engine)
    store.objects[keys.source_secret("lamplight", "s1")] = secret.model_dump_json().encode()
    refreshed(engine)

    assert engine.calls[0] == "look https://me:pass@example.org/feed.xml"


def test_text_where_audio_was_promised_is_no_transcript_of_the_show(refreshed):
    page = item(1)
    result = refreshed(engine_with(page, pages={page.url: b"Mara Quill: Hello.\nBen Marsh: Hi.\n"}))

    assert "text, not audio" in result.failed[0].problem


def test_a_source_that_is_not_there_is_named(refreshed):
    with pytest.raises(NotFoundError, match="diary sources list lamplight"):
        refreshed(engine_with(), source="s9")
