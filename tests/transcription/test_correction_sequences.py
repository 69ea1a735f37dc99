"""A thousand random sequences of corrections: whatever people do, no word is lost, and undo restores every byte."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from services.transcription import editing
from services.transcription.corrections import content
from shared import keys
from shared.corrections import (
    CorrectionRequest,
    Edit,
    EditText,
    Exclude,
    Include,
    Join,
    Judge,
    MergeSpeakers,
    Reassign,
    ReassignRange,
    Rename,
    Restore,
    SetRole,
    Settle,
    Split,
    Undo,
)
from shared.errors import BadInputError
from shared.schemas import Role, Show, Transcript, TranscriptState
from shared.spoken import words_of
from shared.store import create_manifest
from shared.transcripts import current
from tests.fakes import MemoryStore
from tests.transcription.conftest import add_recording
from tests.transcription.talks import put, transcript

WORDS = ["yes", "no", "well", "so", "moon", "show", "thank", "you", "right."]
SEQUENCES, LONGEST = 1000, 6


def test_a_thousand_sequences_of_corrections_keep_what_must_hold():
    made = 0

    @settings(max_examples=SEQUENCES, deadline=None, derandomize=True, database=None)
    @given(st.randoms(use_true_random=False))
    def one_sequence(chance: random.Random) -> None:
        nonlocal made
        made += 1
        live_through(chance)

    one_sequence()
    assert made >= SEQUENCES


def live_through(chance: random.Random) -> None:
    store = MemoryStore()
    create_manifest(store, keys.show("demo"), Show(slug="demo", title="Demo", host="Kenna Gray"))
    add_recording(store)
    put(store, some_talk(chance))
    for _ in range(chance.randint(1, LONGEST)):
        before = current(store, "demo", "rec1")
        edit = some_edit(chance, before, store)
        try:
            editing.correct(request(before, edit), store=store, actor="ann")
        except BadInputError:
            assert content(current(store, "demo", "rec1")) == content(before)
            continue
        after = current(store, "demo", "rec1")
        demand_whole(before, after, edit)
        if not isinstance(edit, Undo):
            demand_undone(store, before, after)


def request(head: Transcript, edit: Edit) -> CorrectionRequest:
    return CorrectionRequest(show="demo", recording="rec1", base=head.id, edits=(edit,))


# ---- what must hold --------------------------------------------------------------------------------------------------


def demand_whole(before: Transcript, after: Transcript, edit: Edit) -> None:
    if not isinstance(edit, EditText | Undo | Restore):
        assert spoken(after) == spoken(before)
    assert len({turn.id for turn in after.turns}) == len(after.turns)
    assert {speaker.label for speaker in after.speakers} == {turn.speaker for turn in after.turns}
    roles = {speaker.label: speaker.role for speaker in after.speakers}
    assert all(turn.role is roles[turn.speaker] for turn in after.turns)
    for turn in after.turns:
        times = [time for word in turn.words for time in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert turn.text.split() == [word.text for word in turn.words] or not turn.words
        assert turn.start_s <= turn.end_s
    starts = [turn.start_s for turn in after.turns]
    assert starts == sorted(starts)


def spoken(transcript: Transcript) -> list[str]:
    return [word.text for turn in transcript.turns for word in words_of(turn)]


def demand_undone(store: MemoryStore, before: Transcript, after: Transcript) -> None:
    """Undo brings every byte back, and restoring the undone revision brings it again."""
    editing.correct(request(after, Undo()), store=store, actor="ann")
    undone = current(store, "demo", "rec1")
    assert content(undone) == content(before)
    editing.correct(request(undone, Restore(revision=after.id)), store=store, actor="ann")
    assert content(current(store, "demo", "rec1")) == content(after)


# ---- chance ----------------------------------------------------------------------------------------------------------


def some_words(chance: random.Random, most: int = 6) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, most)))


def some_talk(chance: random.Random) -> Transcript:
    lines = [(chance.choice(("S1", "S2", "S3")), some_words(chance)) for _ in range(chance.randint(1, 6))]
    doubtful = [place for place in range(len(lines)) if chance.random() < 0.3]
    return transcript(lines, timed=chance.random() < 0.7, doubtful=doubtful)


def some_edit(chance: random.Random, head: Transcript, store: MemoryStore) -> Edit:
    turns = [turn.id for turn in head.turns]
    labels = [speaker.label for speaker in head.speakers]
    end_s = head.turns[-1].end_s
    start_s = chance.uniform(0, end_s)
    revisions = [key.rsplit("/", 1)[1].removesuffix(".json") for key in revision_keys(store)]
    options: Sequence[Edit] = (
        Reassign(turns=tuple(chance.sample(turns, chance.randint(1, len(turns)))), to=chance.choice([*labels, "new"])),
        ReassignRange(start_s=start_s, end_s=start_s + chance.uniform(0, 4), to=chance.choice([*labels, "new"])),
        Split(turn=chance.choice(turns), before_word=chance.randint(1, 5), to=chance.choice([None, *labels])),
        Join(turn=chance.choice(turns)),
        MergeSpeakers(speaker=chance.choice(labels), into=chance.choice(labels)),
        Rename(speaker=chance.choice(labels), name=some_words(chance, 2)),
        SetRole(speaker=chance.choice(labels), role=chance.choice(list(Role))),
        EditText(turn=chance.choice(turns), text=some_words(chance)),
        Exclude(start_s=start_s, end_s=start_s + chance.uniform(0, 4), reason="advert"),
        Include(start_s=0, end_s=end_s),
        Settle(turns=(chance.choice(turns),)),
        Judge(state=chance.choice(list(TranscriptState))),
        Restore(revision=chance.choice(revisions)),
        Undo(),
    )
    return chance.choice(options)


def revision_keys(store: MemoryStore) -> list[str]:
    return [key for key in store.list(keys.transcripts("demo", "rec1")) if key.endswith(".json")]
