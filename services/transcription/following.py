"""The story of what follows a correction: edited words get exact times, the hosts' voices are learnt or unlearnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.transcription import revisions
from services.transcription.audio_files import working_file
from services.transcription.hearing import Aligned, Engine, Piece
from services.transcription.lineage import lineage_of
from services.transcription.settings import Limits
from shared import keys, recordings
from shared.corrections import FollowUpRequest, FollowUpResult
from shared.jobs import JobContext
from shared.schemas import Transcript, Turn, Word
from shared.store import Store, made_from
from shared.transcripts import current

ROOM_S = 0.3  # around a turn: its first and last words may have been estimated a little off

Learn = Callable[..., tuple[tuple[str, ...], tuple[str, ...]]]


def run(
    request: FollowUpRequest, *, job: JobContext, store: Store, engine: Engine, limits: Limits, learn: Learn
) -> FollowUpResult:
    """Bring what hangs on a transcript up to what is current now; a repeat finds nothing left to do.

    learn   see hosts.learn
    """
    show, name = request.show, request.recording
    aligned, warnings = align(show, name, job=job, store=store, engine=engine)
    job.check()
    learnt, advice = learn(show, name, job=job, store=store, engine=engine, limits=limits)
    head = current(store, show, name)
    return FollowUpResult(transcript=head.id, aligned_turns=aligned, learnt=learnt, warnings=(*warnings, *advice))


def follow(
    show: str, name: str, job: JobContext, *, store: Store, engine: Engine, limits: Limits, learn: Learn
) -> None:
    """The same within another job that changed a transcript."""
    align(show, name, job=job, store=store, engine=engine)
    learn(show, name, job=job, store=store, engine=engine, limits=limits)


def align(show: str, name: str, *, job: JobContext, store: Store, engine: Engine) -> tuple[int, tuple[str, ...]]:
    """Time the words of all turns that were edited; returns how many these were, and what the aligner warns of."""
    recording = recordings.read(store, show, name)
    head = current(store, show, name)
    waiting = [turn for turn in head.turns if turn.estimated]
    if not waiting or recording.working is None:
        return 0, ()
    job.progress("timing words", 0, len(waiting), "turns")
    found = engine.align(working_file(recording, job, store), _pieces(head, waiting), head.language, job)
    timed = {turn.id: _timed(turn, words) for turn, words in zip(waiting, found.pieces, strict=True)}
    before = {turn.id: turn for turn in waiting}

    def with_times(now: Transcript) -> Transcript | None:
        """Turns that somebody edited again meanwhile stay as they are: their own follow-up times them."""
        turns = tuple(timed[turn.id] if before.get(turn.id) == turn else turn for turn in now.turns)
        return None if turns == now.turns else _aligned_revision(now, turns, found, job, store)

    revisions.move_head(store, show, name, with_times)
    return len(timed), found.warnings


def _pieces(transcript: Transcript, turns: Sequence[Turn]) -> list[Piece]:
    """The sound of each turn and a little more, but nothing of its neighbours' words."""
    places = {turn.id: place for place, turn in enumerate(transcript.turns)}
    found = []
    for turn in turns:
        place = places[turn.id]
        earliest = transcript.turns[place - 1].end_s if place else 0.0
        latest = transcript.turns[place + 1].start_s if place + 1 < len(transcript.turns) else transcript.duration_s
        start_s = min(max(turn.start_s - ROOM_S, earliest, 0.0), turn.start_s)
        end_s = turn.end_s + ROOM_S if latest is None else max(min(turn.end_s + ROOM_S, latest), turn.end_s)
        found.append(Piece(start_s=start_s, end_s=end_s, text=turn.text))
    return found


def _timed(turn: Turn, words: Sequence[Word]) -> Turn:
    """Words as the person wrote them, with the aligner's times."""
    kept = tuple(
        own.model_copy(update={"start_s": word.start_s, "end_s": word.end_s})
        for own, word in zip(turn.words, words, strict=True)
    )
    return turn.model_copy(
        update={"words": kept, "start_s": kept[0].start_s, "end_s": kept[-1].end_s, "estimated": False}
    )


def _aligned_revision(
    head: Transcript, turns: tuple[Turn, ...], found: Aligned, job: JobContext, store: Store
) -> Transcript:
    parent = made_from(store, keys.transcript(head.show, head.recording, head.id))
    return head.model_copy(
        update={
            "schema_version": 2,
            "id": revisions.revision_id(
                {"parent": head.id, "aligned": [turn.model_dump(mode="json") for turn in turns]}
            ),
            "parent": head.id,
            "kind": "aligned",
            "turns": turns,
            "change": None,
            "restores": None,
            "lineage": lineage_of(job, parent, {}, {"aligner": found.aligner}),
        }
    )
