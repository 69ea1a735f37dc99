"""What people may change of a transcript, and what they are told: edits, orders over a show, the review queue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from shared.schemas import ExcludedSpan, Record, Role, ShortText, Slug, Transcript, TranscriptState, now

NEW_SPEAKER = "new"
MOST_EDITS = 10_000

# ---- edits of one transcript -----------------------------------------------------------------------------------------
# Turns and speakers are named as they are in the revision that the edits are based on, or by an edit before.


class Reassign(Record):
    """Give whole turns to another speaker, or to a new one."""

    kind: Literal["reassign"] = "reassign"
    turns: tuple[str, ...] = Field(min_length=1, max_length=5000)
    to: str = Field(description=f"a speaker's label, or {NEW_SPEAKER}")


class ReassignRange(Record):
    """Give what is said in a time range to another speaker; turns are split at its edges, between words."""

    kind: Literal["reassign-range"] = "reassign-range"
    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)
    to: str


class Split(Record):
    """Cut a turn before a word (0 is its first); the second half goes to `to`, else stays with its speaker."""

    kind: Literal["split"] = "split"
    turn: str
    before_word: int = Field(ge=1)
    to: str | None = None


class Join(Record):
    """Make a turn and the one before it one turn, of the earlier one's speaker."""

    kind: Literal["join"] = "join"
    turn: str


class MergeSpeakers(Record):
    """Two voices are one person: all that `speaker` says is said by `into`."""

    kind: Literal["merge-speakers"] = "merge-speakers"
    speaker: str
    into: str


class Rename(Record):
    """Name a speaker, in this recording."""

    kind: Literal["rename"] = "rename"
    speaker: str
    name: ShortText


class SetRole(Record):
    """Say what a speaker is; `host` makes who was it before a guest, or unknown where there are more."""

    kind: Literal["role"] = "role"
    speaker: str
    role: Role


class EditText(Record):
    """Other words for a turn; their times are estimated at once, and aligned soon after."""

    kind: Literal["text"] = "text"
    turn: str
    text: str = Field(min_length=1, max_length=100_000)


class Exclude(Record):
    """Leave a span out of training, here. Wherever it is repeated: classify the repeated span."""

    kind: Literal["exclude"] = "exclude"
    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)
    reason: Literal["trailer", "intro", "advert", "outro", "other"] = "other"
    detail: str = Field(default="", max_length=300)


class Include(Record):
    """Take back what `exclude` left out: all spans of this transcript that meet the range."""

    kind: Literal["include"] = "include"
    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)


class Settle(Record):
    """These turns are right as they are."""

    kind: Literal["settle"] = "settle"
    turns: tuple[str, ...] = Field(min_length=1, max_length=5000)


class Judge(Record):
    """Say how far the transcript was checked."""

    kind: Literal["judge"] = "judge"
    state: TranscriptState


class Restore(Record):
    """Have the content of another revision again: an earlier one, a new machine one, a published one."""

    kind: Literal["restore"] = "restore"
    revision: str


class Undo(Record):
    """Take back the last change that a person made and nobody took back yet; again: the one before it."""

    kind: Literal["undo"] = "undo"


Edit = Annotated[
    Reassign
    | ReassignRange
    | Split
    | Join
    | MergeSpeakers
    | Rename
    | SetRole
    | EditText
    | Exclude
    | Include
    | Settle
    | Judge
    | Restore
    | Undo,
    Field(discriminator="kind"),
]


class CorrectionRequest(Record):
    """Edits of a transcript, made one after the other, as one revision: all or none.

    base   the revision that the person sees; another one being current is a conflict (409, with what changed), unless
           it only has better times or recognised roles
    """

    show: Slug
    recording: str
    base: str
    edits: tuple[Edit, ...] = Field(min_length=1, max_length=MOST_EDITS)
    reason: str = Field(default="", max_length=300)


class CorrectionResult(Record):
    """The revision that is current now. `follow_up` is the job that aligns edited words and learns the host's voice."""

    transcript: str
    recording: str
    parent: str | None
    summary: str
    state: TranscriptState
    needs_review: int = Field(description="turns left to look at")
    follow_up: str | None = None


class RevisionSummary(Record):
    """One revision of a transcript, for its history."""

    id: str
    parent: str | None
    kind: str
    summary: str
    reason: str = ""
    by: str
    at: datetime
    state: TranscriptState
    restores: str | None = None
    batch: str | None = None
    current: bool = False


class Difference(Record):
    """A stretch in which two revisions say or attribute something else."""

    start_s: float
    end_s: float
    before: tuple[str, ...] = Field(description='lines as "S1 (host): words"')
    after: tuple[str, ...]


class Comparison(Record):
    before: str
    after: str
    words_changed: int
    words_moved: int = Field(description="words that stay and change their speaker")
    differences: tuple[Difference, ...]


# ---- orders over all transcripts of a show ---------------------------------------------------------------------------


class ReplaceRequest(Record):
    """Find and replace over all current transcripts. A dry run only lists the places.

    find         words as they are read, punctuation around them ignored
    recordings   only these; all when empty
    """

    show: Slug
    find: ShortText
    replace: ShortText
    match_case: bool = False
    recordings: tuple[str, ...] = ()
    reason: str = Field(default="", max_length=300)
    dry_run: bool = True


class FoundPlace(Record):
    recording: str
    turn: str
    start_s: float
    before: str
    after: str


class ReplaceResult(Record):
    """`places` are the first ones; `found` counts all. `batch` undoes them all: see UndoBatchRequest."""

    found: int
    recordings: int
    places: tuple[FoundPlace, ...]
    batch: str | None = None
    conflicts: tuple[str, ...] = Field(default=(), description="recordings somebody changed meanwhile: left alone")


class RenameRequest(Record):
    """Another name for a speaker in all recordings where somebody is called `name`."""

    show: Slug
    name: ShortText
    to: ShortText
    reason: str = Field(default="", max_length=300)


class UndoBatchRequest(Record):
    """Take back an order over several recordings, where it is the last change; elsewhere say so."""

    show: Slug
    batch: str


class BatchResult(Record):
    batch: str
    changed: tuple[str, ...]
    left_alone: tuple[str, ...] = Field(default=(), description="recordings with changes since, and why")


class FollowUpRequest(Record):
    """After a correction: align edited words, learn or unlearn the hosts' voices from what is current now."""

    show: Slug
    recording: str
    revision: str


class FollowUpResult(Record):
    transcript: str
    aligned_turns: int = 0
    learnt: tuple[str, ...] = Field(default=(), description="names whose voiceprint changed")
    warnings: tuple[str, ...] = ()


class ShowRequest(Record):
    """An order about all of a show: find the host by voice, recognise hosts, find repeated spans."""

    show: Slug


class MissingTranscribed(Record):
    """Recordings that have a transcript now, and why others have none."""

    recordings: tuple[str, ...]
    failed: dict[str, str] = Field(default={}, description="recording -> what went wrong")


class ImportTranscriptRequest(Record):
    """A transcript file that was uploaded becomes a revision of a recording that is here."""

    show: Slug
    recording: str
    upload_key: str
    filename: str = Field(default="", max_length=300)


class HostsFound(Record):
    """Who was found as the voice that is in all recordings, or recognised by voiceprint."""

    host_found: bool
    recognised: tuple[str, ...] = Field(default=(), description="recordings whose host is known by voice now")
    unknown: tuple[str, ...] = Field(default=(), description="recordings in which no voice is surely the host's")
    warnings: tuple[str, ...] = ()


# ---- glossary ------------------------------------------------------------------------------------------------------


class Glossary(Record):
    """Names and brands of a show as they are spelt: hints for the recogniser."""

    schema_version: Literal[1] = 1
    show: Slug
    terms: tuple[ShortText, ...] = Field(default=(), max_length=500)
    by: str
    at: datetime = Field(default_factory=now)


# ---- repeated spans --------------------------------------------------------------------------------------------------

SpanKind = Literal["advert", "greeting", "closing", "trailer", "keep"]


class Place(Record):
    """One place of a repeated span: words [first_word, last_word) of a recording, and their seconds."""

    recording: str
    transcript: str
    first_word: int
    last_word: int
    start_s: float
    end_s: float
    text: str = Field(default="", description="as it is said there; only where it is asked for")


class Cluster(Record):
    """Spans that are said in several recordings, nearly word for word.

    guess   what it seems to be, from its words and places; never taken for an answer
    kind    what a person said it is; None until then: it stays out of training
    grams   hashes of its 5-grams: by these a classification finds it again when recordings are added
    """

    id: str
    text: str
    words: int
    guess: SpanKind | None
    kind: SpanKind | None = None
    places: tuple[Place, ...]
    grams: tuple[str, ...] = ()


class Repeats(Record):
    """The repeated spans of a show when they were last looked for."""

    schema_version: Literal[1] = 1
    show: Slug
    transcripts: dict[str, str] = Field(description="recording -> the revision that was read")
    clusters: tuple[Cluster, ...]
    at: datetime = Field(default_factory=now)


class Classification(Record):
    """A person's word for a repeated span; holds no text, so that it may outlive what was erased."""

    schema_version: Literal[1] = 1
    id: str
    show: Slug
    kind: SpanKind
    grams: tuple[str, ...]
    by: str
    at: datetime = Field(default_factory=now)


class RepeatsResult(Record):
    clusters: int
    unclassified: int
    places: int
    words: int


# ---- review queue ----------------------------------------------------------------------------------------------------


class ReviewItem(Record):
    """A doubtful turn, with what is needed to decide about it."""

    recording: str
    title: str
    transcript: str
    turn: str
    speaker: str
    role: Role
    name: str | None = None
    start_s: float
    end_s: float
    text: str
    reasons: tuple[str, ...]
    doubt: float


class ReviewQueue(Record):
    """Doubtful turns of a show, worst first. `minutes_left` is for listening to all, with two seconds around each."""

    turns: int
    minutes_left: float
    recordings: dict[str, int] = Field(description="recording -> doubtful turns left")
    items: tuple[ReviewItem, ...]


def left_out_of(transcript: Transcript, spans: tuple[ExcludedSpan, ...]) -> tuple[ExcludedSpan, ...]:
    """The spans of its recording and the transcript's own, in order of time."""
    return tuple(sorted((*spans, *transcript.excluded_spans), key=lambda span: (span.start_s, span.end_s)))
