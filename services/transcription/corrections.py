"""What people change of a transcript: edits -> the transcript after them, and in words what was done. Pure.

No word is lost, doubled or moved, except by an edit of the text. Turns keep their names; parts of a split get new ones.
Transcripts without word times (published ones) are cut by their text; the times of the parts are shared out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher

from services.transcription.roles import roles_of
from shared.corrections import (
    NEW_SPEAKER,
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
from shared.schemas import ExcludedSpan, HostMethod, Role, Speaker, Transcript, TranscriptState, Turn, Word
from shared.spoken import Times, timed_words, words_of

NOT_CONTENT = {"schema_version", "id", "parent", "kind", "change", "restores", "engines", "lineage"}
NAMED_AT_MOST = 12
_LABEL = re.compile(r"\bS\d+\b")
_PLAIN = re.compile(r"[^\w']+")


@dataclass(frozen=True)
class Person:
    """Who edits, when, and what the show and the recording say about names.

    host, guest   names that go with these roles
    """

    name: str
    at: datetime
    host: str | None = None
    guest: str | None = None


def content(transcript: Transcript) -> bytes:
    """All that a revision says, without where it comes from: equal bytes are the same transcript."""
    return transcript.model_dump_json(exclude=NOT_CONTENT).encode()


def apply(transcript: Transcript, edits: Sequence[Edit], person: Person) -> tuple[Transcript, str]:
    """The transcript after edits, made one after the other, and a summary in words.

    raises   BadInputError for an edit that cannot be made, or if nothing changes
    """
    changed, said = transcript, []
    for edit in edits:
        changed, summary = _edited(changed, edit, person)
        said.append(summary)
    if content(changed) == content(transcript):
        raise BadInputError("nothing to change: the transcript says all of that already")
    if not any(isinstance(edit, Judge) for edit in edits):
        changed = _judged_by_edits(transcript, changed, person)
    return changed, _together(said)


def _edited(transcript: Transcript, edit: Edit, person: Person) -> tuple[Transcript, str]:
    match edit:
        case Reassign():
            return _reassign(transcript, edit, person)
        case ReassignRange():
            return _reassign_range(transcript, edit, person)
        case Split():
            return _split(transcript, edit, person)
        case Join():
            return _join(transcript, edit, person)
        case MergeSpeakers():
            return _merge_speakers(transcript, edit, person)
        case Rename():
            return _rename(transcript, edit)
        case SetRole():
            return _set_role(transcript, edit, person)
        case EditText():
            return _edit_text(transcript, edit, person)
        case Exclude():
            return _exclude(transcript, edit)
        case Include():
            return _include(transcript, edit)
        case Settle():
            return _settle(transcript, edit, person)
        case Judge():
            return _judge(transcript, edit, person)
        case Undo() | Restore():
            raise BadInputError(f"{edit.kind} is a change by itself: send it without other edits")


def _together(said: Sequence[str]) -> str:
    """What was done, each thing once."""
    counted = {summary: said.count(summary) for summary in said}
    parts = [f"{summary} ({count} times)" if count > 1 else summary for summary, count in counted.items()]
    more = [f"and {len(parts) - NAMED_AT_MOST} more"] if len(parts) > NAMED_AT_MOST else []
    return "; ".join([*parts[:NAMED_AT_MOST], *more])


# ---- who says it -----------------------------------------------------------------------------------------------------


def _reassign(transcript: Transcript, edit: Reassign, person: Person) -> tuple[Transcript, str]:
    wanted = {transcript.turns[_place(transcript, name)].id for name in edit.turns}
    label = _label(transcript, edit.to)
    turns = [_given(turn, label, person) if turn.id in wanted else turn for turn in transcript.turns]
    return _with_turns(transcript, turns), f"{_counted(len(wanted), 'turn')} to {label}"


def _reassign_range(transcript: Transcript, edit: ReassignRange, person: Person) -> tuple[Transcript, str]:
    if edit.start_s >= edit.end_s:
        raise BadInputError(f"a range ends after it starts: {edit.start_s:g} to {edit.end_s:g} s is none")
    label, turns, moved, fresh = _label(transcript, edit.to), [], 0, _fresh_names(transcript)
    for turn in transcript.turns:
        words = words_of(turn)
        inside = [edit.start_s <= (word.start_s + word.end_s) / 2 < edit.end_s for word in words]
        first = inside.index(True) if any(inside) else len(words)
        last = first + sum(inside)
        moved += last - first
        for part, (begin, end) in enumerate(((0, first), (first, last), (last, len(words)))):
            if begin < end:
                name = turn.id if begin == 0 else next(fresh)
                piece = _part(turn, words, begin, end, name)
                turns.append(_given(piece, label, person) if part == 1 else piece)
    if not moved:
        raise BadInputError(f"nothing is said from {edit.start_s:g} to {edit.end_s:g} s; choose another range")
    return _with_turns(transcript, turns), f"{_counted(moved, 'word')} from {edit.start_s:g} s on to {label}"


def _merge_speakers(transcript: Transcript, edit: MergeSpeakers, person: Person) -> tuple[Transcript, str]:
    gone, kept = _speaker(transcript, edit.speaker), _speaker(transcript, edit.into)
    if gone.label == kept.label:
        raise BadInputError(f"{gone.label} cannot be merged into itself; name two speakers")
    turns = [_given(turn, kept.label, person) if turn.speaker == gone.label else turn for turn in transcript.turns]
    speakers = tuple(
        speaker.model_copy(update={"name": speaker.name or gone.name}) if speaker.label == kept.label else speaker
        for speaker in transcript.speakers
    )
    merged = transcript.model_copy(update={"speakers": speakers})
    if gone.role is Role.HOST:
        merged = hosted(merged, kept.label, person.host, person.guest)
    return _with_turns(merged, turns), f"{gone.label} is {kept.label}"


def _rename(transcript: Transcript, edit: Rename) -> tuple[Transcript, str]:
    speaker = _speaker(transcript, edit.speaker)
    guest = edit.name if speaker.role is Role.GUEST else transcript.guest
    renamed = _with_speaker(transcript, speaker.model_copy(update={"name": edit.name}))
    return renamed.model_copy(update={"guest": guest}), f"{speaker.label} is called {edit.name}"


def _set_role(transcript: Transcript, edit: SetRole, person: Person) -> tuple[Transcript, str]:
    speaker = _speaker(transcript, edit.speaker)
    summary = f"{speaker.label} is {'the host' if edit.role is Role.HOST else edit.role.value}"
    if edit.role is Role.HOST:
        return hosted(transcript, speaker.label, person.host, person.guest), summary
    changed = _with_speaker(transcript, speaker.model_copy(update={"role": edit.role}))
    if speaker.role is Role.HOST:
        changed = changed.model_copy(update={"host_method": HostMethod.UNKNOWN})
    return _with_roles(changed), summary


def hosted(transcript: Transcript, label: str, host: str | None, guest: str | None) -> Transcript:
    """The same turns with the roles that follow from a person's word for who is the host.

    host, guest   names for these roles; a speaker who bears the host's name and is not the host loses it
    """
    weight = {
        speaker.label: speaker.speech_s or speech_s(transcript.turns, speaker.label) for speaker in transcript.speakers
    }
    co_hosts = [s.label for s in transcript.speakers if s.role is Role.CO_HOST and s.label != label]
    roles = roles_of(weight, label, co_hosts)
    names = {speaker.label: speaker.name for speaker in transcript.speakers if speaker.name != host}
    names |= {one: name for one, role in roles.items() if (name := {Role.HOST: host, Role.GUEST: guest}.get(role))}
    speakers = tuple(
        speaker.model_copy(update={"role": roles[speaker.label], "name": names.get(speaker.label)})
        for speaker in transcript.speakers
    )
    warnings = tuple(warning for warning in transcript.warnings if "diary transcripts host" not in warning)
    changed = {"speakers": speakers, "host_method": HostMethod.SET, "warnings": warnings}
    return _with_roles(transcript.model_copy(update=changed))


# ---- what is said ----------------------------------------------------------------------------------------------------


def _split(transcript: Transcript, edit: Split, person: Person) -> tuple[Transcript, str]:
    place = _place(transcript, edit.turn)
    turn = transcript.turns[place]
    words = words_of(turn)
    if edit.before_word >= len(words):
        raise BadInputError(
            f"{turn.id} has {_counted(len(words), 'word')}: before_word is one of 1 to {max(len(words) - 1, 1)}"
        )
    label = _label(transcript, edit.to) if edit.to else turn.speaker
    first = _settled(_part(turn, words, 0, edit.before_word, turn.id), person)
    second = _part(turn, words, edit.before_word, len(words), next(_fresh_names(transcript)))
    turns = [*transcript.turns[:place], first, _given(second, label, person), *transcript.turns[place + 1 :]]
    return _with_turns(transcript, turns), f"{turn.id} split before “{words[edit.before_word].text}”"


def _join(transcript: Transcript, edit: Join, person: Person) -> tuple[Transcript, str]:
    place = _place(transcript, edit.turn)
    if place == 0:
        raise BadInputError(f"{edit.turn} is the first turn: there is none before it to join it with")
    before, turn = transcript.turns[place - 1], transcript.turns[place]
    words = (*words_of(before), *words_of(turn)) if before.words or turn.words else ()
    joined = before.model_copy(
        update={
            "text": f"{before.text} {turn.text}",
            "words": words,
            "end_s": max(before.end_s, turn.end_s),
            "overlap": max(before.overlap, turn.overlap),
            "estimated": before.estimated or turn.estimated or (bool(words) and not (before.words and turn.words)),
        }
    )
    turns = [*transcript.turns[: place - 1], _settled(joined, person), *transcript.turns[place + 1 :]]
    return _with_turns(transcript, turns), f"{turn.id} joined with {before.id}"


def _edit_text(transcript: Transcript, edit: EditText, person: Person) -> tuple[Transcript, str]:
    place = _place(transcript, edit.turn)
    turn = transcript.turns[place]
    texts = edit.text.split()
    if not texts:
        raise BadInputError("a turn cannot be without words; to leave it out of training, exclude its span")
    turns = list(transcript.turns)
    turns[place] = _settled(reworded(turn, texts), person)
    return _with_turns(transcript, turns), f"{turn.id} says “{_short(' '.join(texts))}”"


def reworded(turn: Turn, texts: Sequence[str]) -> Turn:
    """A turn with other words. Those that stay keep their times, the others share the room between them."""
    text = " ".join(texts)
    if not turn.words:
        return turn.model_copy(update={"text": text})
    kept: list[Word | None] = [None] * len(texts)
    matcher = SequenceMatcher(None, [plain(word.text) for word in turn.words], list(map(plain, texts)), autojunk=False)
    for old, new, size in matcher.get_matching_blocks():
        kept[new : new + size] = turn.words[old : old + size]
    times: list[Times | None] = [(word.start_s, word.end_s) if word else None for word in kept]
    timed = timed_words(texts, times, turn.start_s, turn.end_s)
    words = tuple(
        new.model_copy(update={"score": old.score}) if old else new for new, old in zip(timed, kept, strict=True)
    )
    ends = {"start_s": min(words[0].start_s, turn.start_s), "end_s": max(words[-1].end_s, turn.end_s)}
    return turn.model_copy(update={"text": text, "words": words, "estimated": turn.estimated or None in kept, **ends})


def plain(word: str) -> str:
    """A word without what surrounds it: "Well," -> "well"; the word itself if nothing else is left."""
    return _PLAIN.sub("", word.lower().replace("’", "'")) or word


# ---- what counts -----------------------------------------------------------------------------------------------------


def _exclude(transcript: Transcript, edit: Exclude) -> tuple[Transcript, str]:
    end_s = transcript.duration_s or max((turn.end_s for turn in transcript.turns), default=0.0)
    if not edit.start_s < edit.end_s <= max(end_s, transcript.turns[-1].end_s if transcript.turns else 0.0):
        raise BadInputError(
            f"no span from {edit.start_s:g} to {edit.end_s:g} s: it ends after it starts, and within {end_s:g} s"
        )
    span = ExcludedSpan(**edit.model_dump(exclude={"kind"}), found_by="person")
    spans = tuple(sorted({*transcript.excluded_spans, span}, key=lambda one: (one.start_s, one.end_s, one.reason)))
    summary = f"{edit.start_s:g} to {edit.end_s:g} s left out ({edit.reason})"
    return transcript.model_copy(update={"excluded_spans": spans}), summary


def _include(transcript: Transcript, edit: Include) -> tuple[Transcript, str]:
    kept = tuple(span for span in transcript.excluded_spans if span.end_s <= edit.start_s or span.start_s >= edit.end_s)
    taken = len(transcript.excluded_spans) - len(kept)
    if not taken:
        raise BadInputError(
            f"nothing was left out of this transcript from {edit.start_s:g} to {edit.end_s:g} s; spans of the "
            "recording itself are changed with `diary recordings edit`"
        )
    return transcript.model_copy(update={"excluded_spans": kept}), f"{_counted(taken, 'span')} taken back in"


def _settle(transcript: Transcript, edit: Settle, person: Person) -> tuple[Transcript, str]:
    wanted = {transcript.turns[_place(transcript, name)].id for name in edit.turns}
    turns = tuple(_settled(turn, person) if turn.id in wanted else turn for turn in transcript.turns)
    return transcript.model_copy(update={"turns": turns}), f"{_counted(len(wanted), 'turn')} right"


def _judge(transcript: Transcript, edit: Judge, person: Person) -> tuple[Transcript, str]:
    judged = None if edit.state is TranscriptState.MACHINE else person
    return _in_state(transcript, edit.state, judged), edit.state.value


def _judged_by_edits(before: Transcript, after: Transcript, person: Person) -> Transcript:
    """An approved transcript that is changed waits for approval again; one with nothing left to look at is reviewed."""
    if before.state is TranscriptState.APPROVED:
        return _in_state(after, TranscriptState.REVIEWED, None)
    looked_through = doubtful(before) > 0 == doubtful(after)
    if before.state is TranscriptState.MACHINE and looked_through:
        return _in_state(after, TranscriptState.REVIEWED, person)
    return after


def _in_state(transcript: Transcript, state: TranscriptState, by: Person | None) -> Transcript:
    judged = {"judged_by": by.name if by else None, "judged_at": by.at if by else None}
    return transcript.model_copy(update={"state": state, **judged})


def doubtful(transcript: Transcript) -> int:
    """Turns that somebody should look at."""
    return sum(turn.needs_review for turn in transcript.turns)


# ---- parts -----------------------------------------------------------------------------------------------------------


def _place(transcript: Transcript, name: str) -> int:
    for place, turn in enumerate(transcript.turns):
        if turn.id == name:
            return place
    raise BadInputError(f"there is no turn {name!r} in this revision; `diary transcripts read` names those there are")


def _speaker(transcript: Transcript, label: str) -> Speaker:
    for speaker in transcript.speakers:
        if speaker.label == label:
            return speaker
    raise BadInputError(f"there is no speaker {label!r} in this transcript; choose of {_labels(transcript)}")


def _label(transcript: Transcript, wanted: str) -> str:
    if wanted == NEW_SPEAKER:
        taken = {speaker.label for speaker in transcript.speakers}
        return next(label for label in (f"S{number}" for number in range(1, len(taken) + 2)) if label not in taken)
    if any(speaker.label == wanted for speaker in transcript.speakers):
        return wanted
    raise BadInputError(
        f"there is no speaker {wanted!r} in this transcript; choose of {_labels(transcript)}, or {NEW_SPEAKER}"
    )


def _labels(transcript: Transcript) -> str:
    return ", ".join(speaker.label for speaker in transcript.speakers)


def _fresh_names(transcript: Transcript) -> Iterator[str]:
    numbers = [int(turn.id[1:]) for turn in transcript.turns if re.fullmatch(r"t\d+", turn.id)]
    number = max(numbers, default=0)
    while True:
        number += 1
        yield f"t{number}"


def _part(turn: Turn, words: Sequence[Word], begin: int, end: int, name: str) -> Turn:
    """Words [begin, end) of a turn as a turn; the whole of it is the turn itself."""
    if (begin, end) == (0, len(words)):
        return turn
    own = tuple(words[begin:end])
    return turn.model_copy(
        update={
            "id": name,
            "text": " ".join(word.text for word in own),
            "words": own if turn.words else (),
            "start_s": turn.start_s if begin == 0 else own[0].start_s,
            "end_s": turn.end_s if end == len(words) else own[-1].end_s,
        }
    )


def _given(turn: Turn, label: str, person: Person) -> Turn:
    return _settled(turn.model_copy(update={"speaker": label}), person)


def _settled(turn: Turn, person: Person) -> Turn:
    return turn.model_copy(
        update={"settled_by": person.name, "needs_review": False, "review_reasons": (), "doubt": 0.0}
    )


def _with_speaker(transcript: Transcript, speaker: Speaker) -> Transcript:
    speakers = tuple(speaker if one.label == speaker.label else one for one in transcript.speakers)
    return transcript.model_copy(update={"speakers": speakers})


def _with_turns(transcript: Transcript, turns: Sequence[Turn]) -> Transcript:
    """Other turns, and the speakers that follow: who says nothing any more goes, who is new comes."""
    talking = dict.fromkeys(turn.speaker for turn in turns)
    known = {speaker.label: speaker for speaker in transcript.speakers}
    kept = [label for label in known if label in talking]
    roles = {known[label].role for label in kept}
    speakers = []
    for label in [*kept, *(label for label in talking if label not in known)]:
        speaker = known.get(label) or Speaker(label=label, role=_role_of_new(transcript, roles))
        roles.add(speaker.role)
        speakers.append(speaker.model_copy(update={"speech_s": speech_s(turns, label)}))
    host_is_gone = Role.HOST not in roles and any(speaker.role is Role.HOST for speaker in transcript.speakers)
    changed = {
        "turns": tuple(turns),
        "speakers": tuple(speakers),
        "host_method": HostMethod.UNKNOWN if host_is_gone else transcript.host_method,
        "warnings": tuple(warning for warning in transcript.warnings if set(_LABEL.findall(warning)) <= set(talking)),
    }
    return _with_roles(transcript.model_copy(update=changed))


def _role_of_new(transcript: Transcript, roles: set[Role]) -> Role:
    if transcript.host_method is HostMethod.UNKNOWN:
        return Role.UNKNOWN
    return Role.OTHER if Role.GUEST in roles else Role.GUEST


def _with_roles(transcript: Transcript) -> Transcript:
    roles = {speaker.label: speaker.role for speaker in transcript.speakers}
    turns = tuple(
        turn if turn.role is roles[turn.speaker] else turn.model_copy(update={"role": roles[turn.speaker]})
        for turn in transcript.turns
    )
    return transcript.model_copy(update={"turns": turns})


def speech_s(turns: Iterable[Turn], label: str) -> float:
    """Seconds in which somebody talks: of their words, else of their turns."""
    own = [turn for turn in turns if turn.speaker == label]
    return round(sum(_spoken_s(turn) for turn in own), 2)


def _spoken_s(turn: Turn) -> float:
    return sum(word.end_s - word.start_s for word in turn.words) if turn.words else turn.end_s - turn.start_s


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
