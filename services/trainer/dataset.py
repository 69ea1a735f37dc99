"""Transcripts -> training examples, and a word about everything that was left out. Pure.

An example starts with the header that generation will use too, then turns, the host's first. Examples are cut only
before a host turn, never inside a turn. Whole guests are kept out for evaluation: nothing of them is ever trained on.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from services.trainer.excluded import Repeated, said_in_spans, without_spans
from services.trainer.leaks import Span
from services.trainer.listening import folded, without_fillers
from services.trainer.packing import IGNORED
from shared.classifications import UNCLASSIFIED
from shared.errors import BadInputError
from shared.families import LossOn
from shared.render import Renderer, header
from shared.schemas import Example, ExcludedSpan, HostMethod, LeftOut, Message, Role, TranscriptState, Turn
from shared.spoken import guest_key

HOST_UNKNOWN = "its host is not known; say who it is with `diary transcripts host`"
NOT_OF_THE_TALK = "spoken by neither the host nor the guest"
NO_QUESTION = "the guest speaks before the host does"
TOO_LONG = "a single turn is longer than an example may be; build with a larger max_length"

UNSURE = "too doubtful to learn from; settle it with `diary transcripts review`"
NOT_CHECKED = "transcript is {found}, and {wanted} was asked for; see `diary transcripts review`"
OTHER_LANGUAGE = "in {found}, which {base} does not write; train with a base model that does (TRAINER_BASE_MODEL)"

NOTHING_TO_LEARN = "nobody speaks whom the dataset's loss_on is about"
UNNAMED = "somebody"

STATES = list(TranscriptState)  # from unchecked to approved
SPEAKING: dict[Role, str] = {Role.HOST: "host", Role.GUEST: "guest"}


@dataclass(frozen=True)
class Source:
    """One recording's transcript revision. `facts` are what people said of the guest."""

    recording: str
    transcript: str
    title: str
    guest: str | None
    host_method: HostMethod
    turns: tuple[Turn, ...]
    excluded_spans: tuple[ExcludedSpan, ...] = ()
    repeated: tuple[Repeated, ...] = ()
    state: TranscriptState = TranscriptState.MACHINE
    language: str = "en"
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """What all examples of a dataset have in common.

    languages   that the base model writes; None: unknown, so any will do
    """

    show_title: str
    host: str
    max_length: int
    loss_on: LossOn
    min_state: TranscriptState = TranscriptState.MACHINE
    max_doubt: float = 1.0
    drop_fillers: bool = False
    base: str = "the base model"
    languages: frozenset[str] | None = None


@dataclass(frozen=True)
class Usable:
    seconds: float
    words: int


@dataclass
class Built:
    """Examples, and what became of the rest.

    spans_said   what was left out as no interview
    usable       by recording, what could be learnt from before it was cut into examples
    """

    examples: list[Example] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    spans_said: list[Span] = field(default_factory=list)
    usable: dict[str, Usable] = field(default_factory=dict)
    backchannels: int = 0
    fillers: int = 0


def build_examples(sources: Iterable[Source], frame: Frame, renderer: Renderer) -> Built:
    """Examples of all recordings, in order; what is left out is listed with reason and number of words."""
    built = Built()
    for source in sources:
        left: Counter[str] = Counter()
        if reason := _why_not(source, frame):
            left[reason] += sum(_words(turn.text) for turn in source.turns)
        else:
            turns = _usable(source, frame, built, left)
            stretches = conversations(turns, renderer.clean, left)
            built.examples.extend(_examples_of(source, stretches, frame, renderer, left))
        if source.host_method is HostMethod.GUESSED:
            built.warnings.append(f"who the host of {source.recording} is was guessed; settle it with one answer")
        built.left_out.extend(
            LeftOut(recording=source.recording, reason=reason, words=words) for reason, words in left.items()
        )
    if unseen := sum(left_out.words for left_out in built.left_out if left_out.reason == UNCLASSIFIED):
        built.warnings.append(
            f"{unseen} words of repeated spans stay out of training until somebody says what they are; see "
            "`diary repeats`"
        )
    return built


def _why_not(source: Source, frame: Frame) -> str | None:
    """Why nothing of a recording can be used, if so."""
    if source.host_method is HostMethod.UNKNOWN:
        return HOST_UNKNOWN
    if STATES.index(source.state) < STATES.index(frame.min_state):
        return NOT_CHECKED.format(found=source.state.value, wanted=frame.min_state.value)
    if frame.languages is not None and source.language not in frame.languages:
        return OTHER_LANGUAGE.format(found=source.language, base=frame.base)
    return None


def _usable(source: Source, frame: Frame, built: Built, left: Counter[str]) -> list[Turn | None]:
    """The turns of the interview itself, without backchannels and doubtful ones; counted in `built` and `left`."""
    said = without_spans(source.turns, source.excluded_spans, source.repeated, left)
    turns, asides = folded(without_doubtful(said, frame.max_doubt, left))
    if frame.drop_fillers:
        cleaned = [None if turn is None else without_fillers(turn.text) for turn in turns]
        built.fillers += sum(found[1] for found in cleaned if found)
        turns = [
            turn.model_copy(update={"text": found[0]}) if turn and found else None
            for turn, found in zip(turns, cleaned, strict=True)
        ]
    built.backchannels += asides
    said_there = said_in_spans(source.turns, source.excluded_spans, source.repeated)
    built.spans_said += [Span(source.recording, reason, text) for reason, text in said_there]
    kept = [turn for turn in turns if turn is not None]
    built.usable[source.recording] = Usable(
        sum(turn.end_s - turn.start_s for turn in kept), sum(_words(turn.text) for turn in kept)
    )
    return turns


def without_doubtful(turns: Iterable[Turn | None], max_doubt: float, left: Counter[str]) -> Iterator[Turn | None]:
    """None in place of each turn that is doubted more than `max_doubt` and that nobody settled: it may be an answer
    spoken inside a question, and what follows may answer something else."""
    for turn in turns:
        if turn is None or turn.doubt <= max_doubt or turn.settled_by is not None:
            yield turn
        else:
            left[UNSURE] += _words(turn.text)
            yield None


def conversations(turns: Iterable[Turn | None], clean: Callable[[str], str], left: Counter[str]) -> list[list[Message]]:
    """Unbroken stretches of host, guest, host, ... turns; neighbours of one role become one turn.

    A turn of anybody else ends a stretch, and so does None: what follows is no answer to what was before. Empty turns
    are dropped.
    left   words left out, by reason; added to
    """
    stretches: list[list[Message]] = [[]]
    for turn in turns:
        if turn is None:
            stretches.append([])
            continue
        role, text = SPEAKING.get(turn.role), clean(turn.text)
        stretch = stretches[-1]
        if not text:
            continue
        if role is None:
            left[NOT_OF_THE_TALK] += _words(text)
            stretches.append([])
        elif stretch and stretch[-1].role == role:
            stretch[-1] = Message(role=stretch[-1].role, text=f"{stretch[-1].text} {text}")
        elif stretch or role == "host":
            stretch.append(Message.model_validate({"role": role, "text": text}))
        else:
            left[NO_QUESTION] += _words(text)
    return [stretch for stretch in stretches if stretch]


def cut(
    stretch: Sequence[Message], room: int, size: Callable[[Message], int], left: Counter[str]
) -> list[list[Message]]:
    """Pieces of at most `room` tokens, each starting with a host turn; as long as they can be.

    A turn that does not fit beside its question, or not at all, is left out; a new piece starts at the next question.
    """
    pieces: list[list[Message]] = []
    used, open_piece = 0, False
    for question in range(0, len(stretch), 2):
        exchange = list(stretch[question : question + 2])
        sizes = [size(message) for message in exchange]
        whole = sum(sizes) <= room
        if not whole:
            too_long = exchange if sizes[0] > room else exchange[1:]
            left[TOO_LONG] += sum(_words(message.text) for message in too_long)
            exchange, sizes = ([], []) if sizes[0] > room else (exchange[:1], sizes[:1])
        if exchange and open_piece and used + sum(sizes) <= room:
            pieces[-1].extend(exchange)
            used += sum(sizes)
        elif exchange:
            pieces.append(exchange)
            used = sum(sizes)
        open_piece = whole
    return pieces


def split(
    examples: Sequence[Example], eval_guests: int, kept_out_before: Collection[str] = ()
) -> tuple[list[Example], list[Example]]:
    """Training and evaluation examples, never of the same guest.

    Guests are ranked by a hash of their name, so the choice depends on no order; guests that earlier datasets kept out
    come first, so that a recording that is added moves nobody from evaluation into training.
    raises   BadInputError if there are not enough guests
    """
    before = {guest_key(guest) for guest in kept_out_before}
    guests = {guest_key(example.guest) for example in examples}
    if len(guests) <= eval_guests:
        raise BadInputError(
            f"{eval_guests} guest(s) must be kept out to judge the training by, and one must be left to train on, "
            f"but there is usable talk with {len(guests)} guest(s) only; add recordings of other guests"
        )
    ranked = sorted(guests, key=lambda guest: (guest not in before, hashlib.sha256(guest.encode()).hexdigest()))
    kept_out = set(ranked[:eval_guests])
    train = [example for example in examples if guest_key(example.guest) not in kept_out]
    return train, [example for example in examples if guest_key(example.guest) in kept_out]


def encode(
    examples: Iterable[Example], renderer: Renderer, max_length: int, loss_on: LossOn
) -> list[dict[str, list[int]]]:
    """What the trainer reads: `input_ids`, and `labels` that are IGNORED where nothing is learnt.

    raises   BadInputError if an example is longer than max_length, teaches nothing, or does not teach where a turn ends
    """
    rows = []
    for number, example in enumerate(examples):
        rendered = renderer.render(example.messages, loss_on)
        labels = [token if learnt else IGNORED for token, learnt in zip(rendered.ids, rendered.supervised, strict=True)]
        turns = Counter(message.role for message in example.messages if loss_on in ("both", message.role))
        ends = Counter({renderer.end(role)[0]: 0 for role in ("host", "guest")})
        for role in ("host", "guest"):
            ends[renderer.end(role)[0]] += turns[role]
        where = f"example {number} (recording {example.recording})"
        if len(labels) > max_length:
            raise BadInputError(f"{where} has {len(labels)} tokens, more than {max_length}; build the dataset again")
        if all(label == IGNORED for label in labels):
            raise BadInputError(f"{where} teaches nothing with loss_on={loss_on}; build the dataset again")
        if any(labels.count(token) != count for token, count in ends.items()):
            raise BadInputError(f"{where} does not teach where its turns end; build the dataset again")
        rows.append({"input_ids": rendered.ids, "labels": labels})
    return rows


# ---- one recording ---------------------------------------------------------------------------------------------------


def _examples_of(
    source: Source, stretches: Sequence[Sequence[Message]], frame: Frame, renderer: Renderer, left: Counter[str]
) -> list[Example]:
    room = frame.max_length - max(_size(renderer, _header(source, frame, at)) for at in (0.0, 0.5, 1.0))
    if room < frame.max_length // 4:
        raise BadInputError(
            f"the header of {source.recording} leaves {room} of {frame.max_length} tokens for talk; raise max_length"
        )
    pieces = []
    for piece in (piece for stretch in stretches for piece in cut(stretch, room, partial(_size, renderer), left)):
        if frame.loss_on == "both" or any(message.role == frame.loss_on for message in piece):
            pieces.append(piece)
        else:
            left[NOTHING_TO_LEARN] += sum(_words(message.text) for message in piece)
    last = max(1, len(pieces) - 1)
    return [
        _example(source, (_header(source, frame, number / last), *piece), frame, renderer)
        for number, piece in enumerate(pieces)
    ]


def _header(source: Source, frame: Frame, position: float) -> Message:
    return header(
        show_title=frame.show_title,
        host=frame.host,
        guest=source.guest or UNNAMED,
        facts=source.facts,
        about=source.title,
        position=position,
    )


def _example(source: Source, messages: tuple[Message, ...], frame: Frame, renderer: Renderer) -> Example:
    rendered = renderer.render(messages, frame.loss_on)
    if len(rendered.ids) > frame.max_length:
        raise AssertionError(f"{len(rendered.ids)} tokens in an example of {source.recording}; room was miscounted")
    return Example(
        recording=source.recording,
        transcript=source.transcript,
        guest=source.guest or f"unnamed guest of {source.recording}",
        messages=messages,
        tokens=len(rendered.ids),
        supervised_tokens=sum(rendered.supervised),
    )


def _size(renderer: Renderer, message: Message) -> int:
    """Tokens of one message with all that goes around it; at most a few more than within a conversation."""
    if message.role == "guest":
        question = Message(role="host", text="-")
        return len(renderer.render([question, message]).ids) - len(renderer.render([question]).ids)
    return len(renderer.render([message]).ids)


def _words(text: str) -> int:
    return len(text.split())
