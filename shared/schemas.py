"""The records that cross a wire, in pipeline order: show, recording, transcript, dataset, adapter, episode, job."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
LANGUAGE = r"^(auto|[a-z]{2,3})$"
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def now() -> datetime:
    return datetime.now(UTC)


class Record(BaseModel):
    """Base of all records: unknown fields are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def newest_schema(record: type[BaseModel]) -> int:
    """The highest `schema_version` that this version of the product knows of a record."""
    return max(get_args(record.model_fields["schema_version"].annotation))


# ---- what every artifact carries -------------------------------------------------------------------------------


class Blob(Record):
    """Bytes in the store, named by what they hold."""

    key: str
    sha256: Sha256
    bytes: int = Field(ge=0)
    media_type: str = "application/octet-stream"


class MadeFrom(Record):
    key: str
    sha256: Sha256


class Lineage(Record):
    """What an artifact was made from, by what, and how: enough to walk from an episode back to its audio."""

    made_from: tuple[MadeFrom, ...] = ()
    by: str
    version: str
    job: str
    actor: str
    parameters: dict[str, Any] = {}
    models: dict[str, str] = {}
    made_at: datetime = Field(default_factory=now)


# ---- show --------------------------------------------------------------------------------------------------------


class Show(Record):
    schema_version: Literal[1] = 1
    slug: Slug
    title: ShortText
    host: ShortText
    about: str = Field(default="", max_length=2000)
    language: str = Field(default="en", pattern=LANGUAGE, description="ISO 639 code; auto listens which it is")
    rights: Literal["own", "licensed", "private"] = "private"
    speakers: int = Field(default=2, ge=0, le=8, description="usual number of people in a recording; 0 finds out")
    created_at: datetime = Field(default_factory=now)


# ---- recording ---------------------------------------------------------------------------------------------------


class Chapter(Record):
    title: str
    start_s: float = Field(ge=0)
    end_s: float | None = None


class ExcludedSpan(Record):
    """A part of a recording that is no interview: it stays in the audio and out of training.

    found_by   `chapters` and `sponsorblock` are the source's word; `gap` is a guess from a long silence near the start
    detail     what was found: the chapter's title, SponsorBlock's category, the length of the gap
    """

    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)
    reason: Literal["trailer", "intro", "advert", "outro", "other"]
    found_by: Literal["chapters", "sponsorblock", "gap", "person"]
    detail: str = Field(default="", max_length=300)


class GuestGuess(Record):
    """Who the guest may be, from 0 (no idea) to 1 (the source says so), and where the name was found."""

    name: ShortText
    confidence: float = Field(ge=0, le=1)
    found_in: Literal["persons", "title", "description", "transcript"]


class Track(Record):
    """One speaker's own file of a multitrack recording; it starts `offset_s` after the recording does."""

    speaker: ShortText
    role: Literal["host", "guest", "other"] | None = None
    offset_s: float = Field(ge=0)
    original: Blob
    working: Blob


class Candidate(Record):
    """A transcript that the source published: a revision to compare with or to take, not current by itself."""

    revision: str
    original: Blob


class Recording(Record):
    """One real episode of the podcast; without audio when it came as a published transcript.

    `guest` is given by whoever added it, or the guess where that is good enough. What people change later lies in
    RecordingEdits: read a recording with `shared.recordings.read`, which puts both together.
    """

    schema_version: Literal[1, 2] = 2
    id: str
    show: Slug
    title: ShortText
    guest: str | None = None
    guest_guess: GuestGuess | None = None
    source: str = Field(description="upload:NAME, or the URL without its secrets")
    description: str = ""
    published_on: date | None = None
    original: Blob
    working: Blob | None = Field(default=None, description="16 kHz mono FLAC; none for a published transcript")
    web: Blob | None = Field(default=None, description="64 kbit/s mono MP3 for browsers")
    peaks: Blob | None = Field(default=None, description="waveform, in audiowaveform's binary format version 2")
    tracks: tuple[Track, ...] = ()
    duration_s: float | None = Field(default=None, ge=0)
    chapters: tuple[Chapter, ...] = ()
    excluded_spans: tuple[ExcludedSpan, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    warnings: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    lineage: Lineage


class RecordingChanges(Record):
    """What a person sets of a recording; what is left out stays as it is."""

    title: ShortText | None = None
    guest: ShortText | None = None
    facts: tuple[ShortText, ...] | None = Field(
        default=None, max_length=20, description="of the guest, one sentence each: they stand in the training header"
    )
    excluded_spans: tuple[ExcludedSpan, ...] | None = None


class RecordingEdits(RecordingChanges):
    """All that people have set of a recording so far."""

    schema_version: Literal[1] = 1
    by: str
    at: datetime = Field(default_factory=now)


class Tombstone(Record):
    """That a recording was erased, and which artifacts were made from it. Nothing of its content."""

    schema_version: Literal[1] = 1
    recording: str
    by: str
    reason: str = Field(default="", max_length=300)
    descendants: tuple[str, ...] = Field(default=(), description="keys of what was made from it")
    at: datetime = Field(default_factory=now)


class UploadedTrack(Record):
    """One speaker's file of a multitrack upload; `offset_s` is where it starts in the conversation."""

    upload_key: str
    filename: str | None = Field(default=None, max_length=300)
    speaker: ShortText
    role: Literal["host", "guest", "other"] | None = None
    offset_s: float = Field(default=0.0, ge=0, le=86_400)


class Source(Record):
    """Where one recording comes from: exactly one of `upload_key` (a file in the store), `url` and `tracks`.

    tracks   one file per speaker, mixed into one recording
    again    bring it although it was erased
    """

    upload_key: str | None = None
    filename: str | None = Field(default=None, max_length=300)
    url: str | None = Field(default=None, max_length=2000)
    tracks: tuple[UploadedTrack, ...] = Field(default=(), max_length=8)
    title: ShortText | None = None
    guest: ShortText | None = None
    again: bool = False


class IngestRequest(Source):
    show: Slug


class IngestResult(Record):
    recording: str
    key: str
    new: bool = Field(description="false when the same content was there before")
    has_audio: bool = True


# ---- transcript --------------------------------------------------------------------------------------------------


class Role(StrEnum):
    HOST = "host"
    CO_HOST = "co-host"
    GUEST = "guest"
    OTHER = "other"
    UNKNOWN = "unknown"


class Word(Record):
    text: str
    start_s: float
    end_s: float
    score: float | None = Field(default=None, description="how sure the recogniser is, 0 to 1; none if it does not say")


class Turn(Record):
    """What one speaker says before another one talks.

    id               t1, t2, ...: stays while other turns come and go; halves of a split get one of their own
    overlap          share of its time in which somebody else talks too, 0 to 1
    doubt            how likely something is wrong with it, 0 to 1: worst first in the review queue
    settled_by       who corrected it, or found it right: it needs no review any more
    estimated        its words' times are shared out after an edit; `aligned` revisions replace them
    """

    id: str = ""
    speaker: str
    role: Role
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    overlap: float = Field(default=0.0, ge=0, le=1)
    needs_review: bool = False
    review_reasons: tuple[str, ...] = ()
    doubt: float = Field(default=0.0, ge=0, le=1)
    settled_by: str | None = None
    estimated: bool = False


class Speaker(Record):
    """One voice of a transcript. `label` is S1, S2, ... in order of appearance."""

    label: str
    role: Role
    name: str | None = None
    speech_s: float = 0.0
    host_score: float | None = Field(default=None, description="cosine to the host's voiceprint, if there is one")


class HostMethod(StrEnum):
    VOICEPRINT = "voiceprint"
    SET = "set"
    NAMED = "named"
    GUESSED = "guessed"
    UNKNOWN = "unknown"


class TranscriptState(StrEnum):
    """machine: nobody has looked; reviewed: nothing doubtful is left; approved: a person answers for it."""

    MACHINE = "machine"
    REVIEWED = "reviewed"
    APPROVED = "approved"


class Change(Record):
    """What made a revision from its parent.

    edits    what a person asked for, each an Edit of shared/corrections.py
    summary  the same in words: "3 turns to S2"
    batch    changes that were one order over several recordings share it
    """

    edits: tuple[dict[str, Any], ...] = ()
    summary: str
    reason: str = Field(default="", max_length=300)
    by: str
    at: datetime = Field(default_factory=now)
    batch: str | None = None


class LanguageHeard(Record):
    language: str
    confidence: float = Field(ge=0, le=1)


class Transcript(Record):
    """One immutable revision of who said what when.

    kind          machine: heard; import: published, or brought by a person; correction: made by a person of `parent`;
                  aligned: `parent` with exact times where words were edited; recognised: `parent` with the roles that
                  follow from voiceprints learnt since. The last two change nothing that a person said.
    host_method   how the host was found: by voice, set by a person, named in a published transcript, or guessed from
                  the text
    state         how far people have checked it; `judged_by` said so at `judged_at`
    restores      the revision whose content this one has again (undo)
    excluded_spans   what people left out of this transcript, beside those of the recording
    engines       the models that were used (asr, aligner, diariser); `warnings` are for people
    """

    schema_version: Literal[1, 2] = 2
    id: str
    recording: str
    show: Slug
    parent: str | None = None
    kind: Literal["machine", "import", "correction", "aligned", "recognised"]
    language: str = "en"
    language_heard: LanguageHeard | None = None
    guest: str | None = None
    duration_s: float | None = None
    speakers: tuple[Speaker, ...]
    host_method: HostMethod
    turns: tuple[Turn, ...]
    excluded_spans: tuple[ExcludedSpan, ...] = ()
    state: TranscriptState = TranscriptState.MACHINE
    judged_by: str | None = None
    judged_at: datetime | None = None
    change: Change | None = None
    restores: str | None = None
    engines: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    lineage: Lineage

    @model_validator(mode="after")
    def _name_turns(self) -> Transcript:
        """Turns of schema 1 have no names; theirs follow from their places."""
        if any(not turn.id for turn in self.turns):
            named = tuple(
                turn if turn.id else turn.model_copy(update={"id": f"t{place}"})
                for place, turn in enumerate(self.turns, start=1)
            )
            object.__setattr__(self, "turns", named)
        return self


class TranscribeRequest(Record):
    show: Slug
    recording: str
    speakers: int | None = Field(
        default=None, ge=0, le=8, description="how many people talk; 0 finds out; the show's usual if unset"
    )
    language: str | None = Field(default=None, pattern=LANGUAGE, description="the show's if unset; auto listens")


class SetHostRequest(Record):
    """One answer to "which is the host?": a speaker label such as S1, or a second at which the host talks."""

    show: Slug
    recording: str
    speaker: str | None = None
    at_s: float | None = Field(default=None, ge=0)


class TranscriptResult(Record):
    """`current` is false if a revision that people worked on stays current: compare the two, take which is right."""

    transcript: str
    recording: str
    key: str
    speakers: int
    host_method: HostMethod
    turns: int
    current: bool = True


class Enrolment(Record):
    """A voice as one recording has it: what a person's word for a speaker there taught."""

    recording: str
    vector: tuple[float, ...]
    speech_s: float
    spans_sha256: Sha256 = Field(description="of the spans it was heard in: the same ones need no second hearing")
    by: str
    at: datetime = Field(default_factory=now)


class Voiceprint(Record):
    """A host's voice: the mean of its enrolments, weighted by their speech. Guests have none.

    vector   unit length; embeddings of different models must never be compared
    name     whose it is; none in schema 1, where it is the show's host
    """

    schema_version: Literal[1, 2] = 2
    show: Slug
    model: str
    vector: tuple[float, ...]
    speech_s: float
    name: str | None = None
    role: Literal["host", "co-host"] = "host"
    enrolments: tuple[Enrolment, ...] = ()
    lineage: Lineage


# ---- dataset -----------------------------------------------------------------------------------------------------


class Message(Record):
    role: Literal["system", "host", "guest"]
    text: str


class Example(Record):
    """One training example: the header that generation will use too, then turns, starting with the host."""

    recording: str
    transcript: str
    guest: str
    messages: tuple[Message, ...]
    tokens: int
    supervised_tokens: int


class LeftOut(Record):
    recording: str
    reason: str
    words: int = 0


class DatasetOptions(Record):
    recordings: tuple[str, ...] = Field(default=(), description="all of the show's transcripts when empty")
    revisions: dict[str, str] = Field(
        default={}, description="transcript revision by recording; the current one where none is named"
    )
    min_state: TranscriptState = Field(
        default=TranscriptState.MACHINE, description="leave out transcripts that people have checked less"
    )
    max_doubt: float = Field(
        default=0.85, ge=0, le=1, description="leave out turns that are doubted more and that nobody has settled"
    )
    fillers: Literal["keep", "drop"] = Field(default="keep", description="ums and uhs")
    max_length: int | None = Field(
        default=None,
        ge=128,
        le=131072,
        description="tokens per example, at most; unset: what the trainer's device has room for",
    )
    eval_guests: int = Field(default=1, ge=1, description="guests kept out of training")
    loss_on: Literal["both", "guest", "host"] = "both"


class DatasetRequest(DatasetOptions):
    show: Slug


class Included(Record):
    """What a recording gave to a dataset. `talk_s` is the time of the turns that are in, `words` their words."""

    recording: str
    transcript: str
    guest: str
    state: TranscriptState
    held_out: bool
    examples: int
    tokens: int
    words: int
    talk_s: float


class LeftOutTotal(Record):
    """Words left out for one reason, over all recordings that it holds for."""

    reason: str
    words: int
    recordings: int


class Leak(Record):
    """How much of what was left out is in the examples all the same: `found` of `grams` different runs of 8 words.

    quoted   runs of a trailer that its own interview says too, as it was cut from there: they are no leak, and not in
             `found`
    """

    reason: str
    grams: int
    found: int
    quoted: int = 0


class Estimate(Record):
    """What training would take, from shapes and typical speeds: before anything was measured.

    method      LoRA on weights in bf16 or fp32, or QLoRA: on weights in 4 bits (nf4)
    recompute   activations are computed again in the backward pass, to save memory
    hours       of all epochs
    """

    device: str
    device_gb: float
    method: Literal["LoRA bf16", "LoRA fp32", "QLoRA nf4"]
    recompute: bool
    memory_gb: float
    tokens_per_s: float
    epochs: float
    hours: float


class DatasetReport(Record):
    """What is in a dataset, what is not, and whether it is enough.

    hours            of talk
    left_out         the most words first
    leaks            of spans that were left out
    backchannels     short words of a listener ("mhm") that were folded into the turn around them
    fill             mean share of max_length that holds tokens, once examples are packed
    enough           no: too little to learn a manner from; little: it will be seen, and no more
    advice           sentences for a person, what to do next among them
    """

    recordings: tuple[Included, ...]
    hours: float
    words: int
    guests: int
    examples: int
    tokens: int
    supervised_share: float
    fill: float
    words_left_out: int
    left_out: tuple[LeftOutTotal, ...]
    leaks: tuple[Leak, ...]
    backchannels: int
    fillers: int
    enough: Literal["no", "little", "yes"]
    advice: tuple[str, ...]
    estimate: Estimate | None = None


class Dataset(Record):
    """`family` names how the base model writes a conversation (shared/render.py); schema 1 has no report."""

    schema_version: Literal[1, 2] = 2
    id: str
    show: Slug
    host: str
    train: Blob
    eval: Blob
    train_examples: int
    eval_examples: int
    train_tokens: int
    eval_tokens: int
    train_guests: tuple[str, ...]
    eval_guests: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...] = ()
    max_length: int
    loss_on: Literal["both", "guest", "host"]
    base_model: str
    base_revision: str
    family: str | None = None
    report: DatasetReport | None = None
    source_withdrawn: tuple[str, ...] = Field(default=(), description="recordings behind it that were erased since")
    lineage: Lineage

    @property
    def tokens(self) -> int:
        return self.train_tokens + self.eval_tokens


class DatasetResult(Record):
    dataset: str
    key: str
    tokens: int
    examples: int


# ---- adapter -----------------------------------------------------------------------------------------------------


class TrainOptions(Record):
    steps: int | None = Field(default=None, ge=1, le=100_000, description="unset: as many as `epochs` take")
    epochs: float = Field(default=3.0, gt=0, le=20, description="times that each example is seen, at most")
    examples_per_step: int | None = Field(
        default=None, ge=1, le=512, description="packs, where short examples are packed; unset: 2, or one per GPU"
    )
    packing: bool = Field(default=True, description="put whole examples beside each other while they fit")
    learning_rate: float | None = Field(
        default=None, gt=0, lt=1, description="unset: 2e-4, for base models under a billion parameters 1e-3"
    )
    lora_rank: int = Field(default=16, ge=1, le=256)
    lora_alpha: int = Field(default=32, ge=1)
    last_layers: int | None = Field(default=None, ge=1, description="adapt the last N layers only; unset: all on a GPU")
    quantisation: Literal["auto", "none", "nf4"] = Field(
        default="auto", description="base model in 4 bits (QLoRA); auto: where it would not fit otherwise"
    )
    gpus: int | None = Field(default=None, ge=1, le=64, description="unset: all that the trainer sees")
    checkpoint_every: int | None = Field(
        default=None, ge=1, description="steps; unset: four times in the run, and every 50 steps at least"
    )
    keep_last: int = Field(default=2, ge=1, description="checkpoints kept for going on, beside the best one")
    patience: int = Field(
        default=3, ge=0, description="stop after so many checkpoints in a row without a lower held-out loss; 0: never"
    )
    memorisation_limit: float = Field(
        default=0.1, ge=0, le=1, description="highest share of recited 13-grams that the best checkpoint may have"
    )
    continue_from: str | None = Field(default=None, description="adapter of the show to go on from")
    resume: int | None = Field(
        default=None,
        ge=1,
        description="number of a stopped run of the show to go on with, at its newest checkpoint and with its own "
        "settings; more `steps` or `epochs` may be asked for. An order of the whole story trains anew if its "
        "dataset has become another",
    )
    seed: int = 42


class TrainRequest(TrainOptions):
    show: Slug
    dataset: str


class GuestLoss(Record):
    """Mean loss per supervised token of a held-out guest's examples."""

    guest: str
    loss: float
    tokens: int

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 100.0))


class SampleTurn(Record):
    """What a checkpoint says next in a held-out interview, in the role that is next."""

    role: Literal["host", "guest"]
    text: str


class Judged(Record):
    """What was found out about a checkpoint.

    guests         held-out guests, by name
    recited        share of the 13-grams it writes, prompted with openings of training examples, that one training
                   recording has
    longest_recited_words   the longest run of words that it takes from one
    """

    guests: tuple[GuestLoss, ...]
    recited: float
    longest_recited_words: int
    samples: tuple[SampleTurn, ...] = ()


class MetricPoint(Record):
    """Figures of a step; `judged` and `eval_loss` where a checkpoint was made. Step 0 is before any training."""

    step: int
    tokens: int
    train_loss: float | None = None
    eval_loss: float | None = None
    seconds: float = 0.0
    memory_gb: float | None = None
    judged: Judged | None = None


class Run(Record):
    """Who a run number belongs to, and what it is to learn.

    job           that works on it now, or did last
    jobs_before   that worked on it before, each until it was stopped or failed
    """

    schema_version: Literal[1, 2] = 2
    number: int
    job: str
    jobs_before: tuple[str, ...] = ()
    request: TrainRequest
    claimed_at: datetime | None = None


class Checkpoint(Record):
    """State of a run after a step: adapter, optimizer, scheduler, random numbers, and the figures up to here.

    For the trainer alone; others read the adapter, which is safetensors only.
    """

    schema_version: Literal[1, 2] = 2
    show: Slug
    run: int
    step: int
    job: str
    dataset: str
    files: dict[str, Blob]
    metrics: tuple[MetricPoint, ...]


class Adapter(Record):
    """LoRA weights of one checkpoint as a Hugging Face PEFT folder, under an immutable name such as `doac.r3.c240`.

    eval_loss_before   of the base model, also where another adapter was gone on from
    eval_loss_after    of this checkpoint
    step, steps        of the checkpoint that was kept, and how many the run made
    base_judged        the base model's figures on the same questions
    parent             the adapter that training went on from
    """

    schema_version: Literal[1, 2] = 2
    name: str
    show: Slug
    dataset: str
    files: dict[str, Blob]
    base_model: str
    base_revision: str
    rank: int
    target_modules: tuple[str, ...]
    eval_loss_before: float
    eval_loss_after: float
    step: int | None = None
    steps: int | None = None
    metrics: tuple[MetricPoint, ...]
    base_judged: Judged | None = None
    parent: str | None = None
    warnings: tuple[str, ...] = ()
    source_withdrawn: tuple[str, ...] = Field(default=(), description="recordings behind it that were erased since")
    lineage: Lineage

    @property
    def judged(self) -> Judged | None:
        """The figures of the checkpoint that was kept."""
        return next((point.judged for point in self.metrics if point.step == self.step), None)

    @property
    def recites(self) -> bool:
        """Whether it recites more than its run allowed: no checkpoint recited less."""
        limit = self.lineage.parameters.get("memorisation_limit", 1.0)
        return self.judged is not None and self.judged.recited > limit


class TrainResult(Record):
    adapter: str
    key: str
    eval_loss_before: float
    eval_loss_after: float
    step: int | None = None
    recited: float | None = None
    warnings: tuple[str, ...] = ()


# ---- episode -----------------------------------------------------------------------------------------------------


GuestIs = Literal["invented", "consented", "real_without_consent"]


MOST_WORDS_A_MINUTE = 400


LONGEST_TITLE = 80
Beat = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=160)]


class PlannedChapter(Record):
    """A part of an episode that is to be written: what it is about, and what is talked about in it, in order."""

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TITLE)]
    beats: tuple[Beat, ...] = Field(default=(), max_length=12)
    words: int | None = Field(default=None, ge=20, le=50_000, description="unset: an equal share of what is left")


class EpisodeOptions(Record):
    """The brief. `adapter` is an adapter's name, `best` (the show's lowest held-out loss) or `base`.

    `guest_is` decides what every export says about the guest; `consent` is where the guest's consent can be looked up.
    """

    guest: ShortText
    about: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)] = ""
    tone: Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)] = Field(
        default="", description="how the two are to talk, such as `dry and curious`"
    )
    facts: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=600)], ...] = Field(
        default=(), max_length=200, description="what is true of the guest; beside the fact sheet, if there is one"
    )
    plan: tuple[PlannedChapter, ...] = Field(
        default=(), max_length=40, description="chapters in order; none: the base model plans them"
    )
    review_plan: bool = Field(
        default=False, description="stop at the plan: the result has the brief to change and to send again"
    )
    write: Literal["episode", "questions"] = Field(
        default="episode", description="`questions`: the host's questions and a time plan, the guest's turns left blank"
    )
    adapter: str = "best"
    words: int | None = Field(
        default=None, ge=20, le=50_000, description="unset, and no minutes: as long as the show's real episodes are"
    )
    minutes: float | None = Field(
        default=None, ge=0.1, le=330, description="instead of words: at the pace of the show's real episodes"
    )
    seed: int = 42
    candidates: int = Field(default=1, ge=1, le=8)
    temperature: float = Field(default=0.8, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1, description="nucleus sampling; unset: the service's setting")
    guest_is: GuestIs = Field(default="invented", description="whether the guest is a real person, and agreed to this")
    consent: str = Field(default="", max_length=300, description="reference to the consent, such as a contract's name")

    @model_validator(mode="after")
    def _one_length(self) -> EpisodeOptions:
        """A brief that was settled has both: the minutes that were asked for, and the words that they come to."""
        if self.words is not None and self.minutes is not None and self.words > MOST_WORDS_A_MINUTE * self.minutes:
            raise ValueError(f"{self.words} words cannot be said in {self.minutes:g} minutes; give one of both")
        return self

    @model_validator(mode="after")
    def _consent_has_a_reference(self) -> EpisodeOptions:
        if self.guest_is == "consented" and not self.consent.strip():
            raise ValueError(
                "the guest consented, but nothing says where: name the contract or the letter as `consent` "
                "(--consent), or say that the guest is `invented` or `real_without_consent` (--guest-is)"
            )
        if self.guest_is != "consented" and self.consent.strip():
            raise ValueError("`consent` is only for a guest who gave it: say guest_is `consented` too, or leave it out")
        return self


class EpisodeRequest(EpisodeOptions):
    show: Slug


class EpisodeTurn(Record):
    """One turn as it was written. What follows from those before it is kept, so that a repeat goes on alike.

    scene     the beat of the plan that the prompt began with, counted through all chapters
    summed_turns   how many turns, from the first, the summary tells of
    fresh     written to get out of a loop: from here on, what was said before this exchange is not shown to the model
    summary   what the prompt said of the turns that it left out
    computed_prompt_tokens   that the engine had not read before, over all attempts
    """

    schema_version: Literal[1] = 1
    index: int
    role: Literal["host", "guest"]
    speaker: str
    text: str
    tokens: int
    attempts: int = 1
    rejected: tuple[str, ...] = ()
    closed: bool = Field(default=True, description="false when the turn breaks off in a sentence")
    closing: bool = Field(default=False, description="the host's goodbye: nothing follows")
    target_words: int | None = Field(default=None, description="how long the episode is to be")
    adapter: str | None = Field(default=None, description="who wrote it; none for the base model")
    chapter: str = Field(default="", description="title of the plan's chapter it belongs to")
    scene: int = 0
    fresh: bool = False
    summary: str = ""
    summed_turns: int = 0
    computed_prompt_tokens: int = 0
    written_by: str | None = Field(default=None, description="the person who wrote it instead of a model")


class TurnLengths(Record):
    """Words of the turns of the show's real episodes: the shortest, each tenth, the longest; none where unknown."""

    host: tuple[int, ...] = ()
    guest: tuple[int, ...] = ()


class Commission(Record):
    """What an episode is written from, settled once before its first turn: whoever goes on, goes on from this.

    brief    with its length in words, its adapter by name and its plan
    facts    of the brief and of the guest's fact sheet
    openings_of, excerpts_of   recordings whose beginning, or a question and its answer, the model is shown
    given    turns that are there already, by their index: of the episode that this one revises
    ends_with_given   the last given turn is the end of the episode
    """

    schema_version: Literal[1] = 1
    episode: str
    brief: EpisodeRequest
    facts: tuple[str, ...] = ()
    openings_of: tuple[str, ...] = ()
    excerpts_of: tuple[str, ...] = ()
    lengths: TurnLengths = TurnLengths()
    given: tuple[EpisodeTurn, ...] = ()
    ends_with_given: bool = False
    revises: str | None = None
    changes: str = Field(default="", description="of a revision: what was asked for, in words")
    source_withdrawn: tuple[str, ...] = Field(default=(), description="of the episode that is revised")


class PlannedQuestion(Record):
    """What the host asks at one beat, and what follows up; the guest's turns are blank."""

    about: str
    question: str
    follow_ups: tuple[str, ...] = ()


class QuestionChapter(Record):
    title: str
    start_min: float
    end_min: float
    questions: tuple[PlannedQuestion, ...]


class QuestionSheet(Record):
    """An interview to be held: the host's questions with a time plan."""

    schema_version: Literal[1] = 1
    id: str
    show: Slug
    guest: str
    host: str
    brief: EpisodeRequest
    adapter: str | None
    label: str
    base_model: str
    base_revision: str
    chapters: tuple[QuestionChapter, ...]
    ai_generated: Literal[True] = True
    source_withdrawn: tuple[str, ...] = Field(default=(), description="recordings behind it that were erased since")
    lineage: Lineage


class ReplacedTurn(Record):
    index: int = Field(ge=0)
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class RevisionRequest(Record):
    """An episode written on from another: turns replaced or said again, or the whole made longer. The other one stays.

    replace      turns whose words a person gives
    regenerate   first and last index of the turns that are written again
    rest         what becomes of the turns after the changed ones: they stay as they are, or are written again
    words, minutes   a new length: the goodbye goes, and the talk goes on from there
    """

    show: Slug
    episode: str
    replace: tuple[ReplacedTurn, ...] = Field(default=(), max_length=500)
    regenerate: tuple[int, int] | None = None
    rest: Literal["keep", "rewrite"] = "keep"
    words: int | None = Field(default=None, ge=20, le=50_000)
    minutes: float | None = Field(default=None, ge=0.1, le=330)
    seed: int | None = Field(default=None, description="of what is written; unset: another one for each order")

    @model_validator(mode="after")
    def _something_to_do(self) -> RevisionRequest:
        if self.regenerate and not 0 <= self.regenerate[0] <= self.regenerate[1]:
            raise ValueError("`regenerate` is the first and the last turn to write again, such as [4, 6]")
        if len({one.index for one in self.replace}) < len(self.replace):
            raise ValueError("a turn is replaced twice; give each turn's words once")
        longer = self.words is not None or self.minutes is not None
        if not (self.replace or self.regenerate or longer):
            raise ValueError("nothing to do: name turns to `replace` or to `regenerate`, or a new length")
        if longer and (self.replace or self.regenerate):
            raise ValueError("make it longer, or change turns; one after the other")
        if self.words is not None and self.minutes is not None:
            raise ValueError("give words or minutes, not both")
        return self


class RecitedSpan(Record):
    """Words of a turn that one recording of the training text says too, 13 in a row at least.

    first_word, last_word   of the turn; the last one is not included
    start_s                 where the recording says them; none where its transcript is not there any more
    """

    turn: int
    first_word: int
    last_word: int
    recording: str
    start_s: float | None = None


class Quarter(Record):
    """A quarter of an episode; `first_turn` counts from 0. None as in `Report`."""

    first_turn: int
    words: int
    turns: int
    rep4: float
    worst_window_rep4: float
    one_word_replies: int
    one_word_share: float
    answers_in_host_turns: int | None
    advert_words: int = Field(description="phrases of adverts, as often as they are said")
    host_share: float | None
    host_median_words: float | None
    guest_median_words: float | None
    host_question_share: float | None
    disfluencies: float = Field(description="per 100 words, of both")
    recited_words: int | None = Field(description="none: not looked for")


class Spread(Record):
    """What is normal of a figure among the show's real conversations: about the 5th percentile, median, the 95th."""

    low: float
    median: float
    high: float


class WordRate(Record):
    """How often a word is said per 100 words, and how far real conversations stray from that."""

    mean: float
    spread: float


class Manner(Record):
    """How a show's real conversations are.

    ranges                   by the name of a figure in `Report`
    host_words, guest_words  function words of host and guests; none in another language than English
    """

    conversations: int = Field(ge=1)
    words: int
    ranges: dict[str, Spread]
    host_words: dict[str, WordRate] = {}
    guest_words: dict[str, WordRate] = {}


class Claim(Record):
    """A name or a number that is said and that nothing given to the model has; `turn` counts from 0."""

    turn: int
    text: str
    kind: Literal["name", "number"]


class Likelihood(Record):
    """How well a model foretells the words: perplexity is exp of the mean negative log-likelihood of a token.

    perplexity               of the episode's turns under the model that wrote it
    base_perplexity          of the same text under the base model
    real_perplexity          of real turns that the adapter has not learnt from, under the adapter
    real_base_perplexity     of those under the base model
    scored_words             of the episode
    """

    perplexity: float = Field(gt=0)
    base_perplexity: float | None = Field(default=None, gt=0)
    real_perplexity: float | None = Field(default=None, gt=0)
    real_base_perplexity: float | None = Field(default=None, gt=0)
    host_perplexity: float | None = Field(default=None, gt=0)
    guest_perplexity: float | None = Field(default=None, gt=0)
    scored_words: int = Field(ge=0)


class LikelyAnswer(Record):
    """A sentence of a host turn that is likelier as the guest's; `turn` counts from 0.

    margin   nats per token by which the guest's header makes it likelier
    """

    turn: int
    text: str
    margin: float


class Report(Record):
    """Figures as in design.md: rep-4 = 1 - unique/total word 4-grams; window = 200 words, stride 25.

    What has a default is none in reports that were stored before there was such a figure, or where it cannot be known:
    those of the host where nobody is known as the host.
    """

    words: int
    turns: int
    alternates: bool
    starts_with_host: bool
    empty_turns: int
    unclosed: int
    one_word_share: float = Field(description="share of guest turns of one word at most")
    rep4: float
    worst_window_rep4: float
    longest_repeat_words: int
    verdict: str
    speakers: int | None = None
    eos_runs: int | None = Field(default=None, description="end-of-sequence tokens in runs of three or more")
    one_word_replies: int | None = Field(default=None, description="guest turns of one word at most")
    tail_rep4: float | None = Field(default=None, description="rep-4 of the last fifth of the words")
    compression: tuple[float, ...] = Field(
        default=(), description="how many times smaller zlib makes each tenth; none for a text of under 500 words"
    )
    compression_rise: float | None = Field(default=None, description="the most compressible tenth against the first")
    answers_in_host_turns: int | None = Field(default=None, description="host turns that answer themselves")
    advert_words: tuple[str, ...] = Field(default=(), description="phrases of adverts, as often as they are said")
    host_share: float | None = Field(default=None, description="share of all words that the host says")
    host_median_words: float | None = Field(default=None, description="of a turn")
    guest_median_words: float | None = Field(default=None, description="of a turn")
    host_question_share: float | None = Field(default=None, description="share of host turns that ask something")
    recited: tuple[RecitedSpan, ...] | None = Field(
        default=None, description="what is taken from the training recordings; none: not looked for"
    )
    host_disfluencies: float | None = Field(
        default=None, description="um, uh, you know, I mean, false starts: per 100 words of the host"
    )
    guest_disfluencies: float | None = Field(default=None, description="per 100 words of the guest")
    host_distance: float | None = Field(
        default=None, description="of the host's function words to those of the real host; about 0.8 is the host's own"
    )
    guest_distance: float | None = Field(default=None, description="of the guest's to those of the show's real guests")
    length_score: float | None = Field(default=None, description="S_l of LongWriter, 0 to 100; none without a target")
    unsourced: tuple[Claim, ...] | None = Field(
        default=None, description="names and numbers that are not in the fact sheet; none: there was no sheet"
    )
    likelihood: Likelihood | None = None
    answers_by_likelihood: tuple[LikelyAnswer, ...] | None = Field(
        default=None, description="sentences of the host that are likelier as the guest's; none: not looked for"
    )
    quarters: tuple[Quarter, ...] = Field(default=(), description="four; none for a text of under 400 words")
    manner: Manner | None = Field(default=None, description="the show's real talk, as it was when this was measured")
    findings: tuple[str, ...] = Field(default=(), description="what is out of the ordinary, one sentence each")


class Episode(Record):
    """`revises` is the episode that this one was made from by changing turns or going on."""

    schema_version: Literal[1, 2] = 2
    id: str
    show: Slug
    guest: str
    host: str
    brief: EpisodeRequest
    adapter: str | None
    fine_tuned: bool
    label: str
    canary: bool | None = Field(
        description="whether the adapter was seen to change the output; none for the base model"
    )
    base_model: str
    base_revision: str
    turns: tuple[EpisodeTurn, ...]
    revises: str | None = None
    changes: str = ""
    report: Report
    ai_generated: Literal[True] = True
    source_withdrawn: tuple[str, ...] = Field(default=(), description="recordings behind it that were erased since")
    lineage: Lineage

    @property
    def plan(self) -> tuple[PlannedChapter, ...]:
        """The chapters that it was written by: its brief has them."""
        return self.brief.plan


class EpisodeResult(Record):
    """`brief` is set where a plan was to be reviewed: change it and send it again, and the episode is written.

    key   of the episode, of the questions, or of what the plan was settled with
    """

    episode: str
    key: str
    words: int
    turns: int
    canary: bool | None
    brief: EpisodeRequest | None = None


class WritingEstimate(Record):
    """What an order for an episode comes to, as far as the store knows; `seconds` from how long the last ones took."""

    adapter: str
    words: int
    minutes: float = Field(description="of talk")
    tokens: int
    seconds: float | None = Field(default=None, description="of writing; none before anything was written")


# ---- what is not there ------------------------------------------------------------------------------------------


class Absences(Record):
    """Keys that manifests of a show name and that are missing on purpose.

    `left out` of the export that the show came from; `collected`: a working copy, which its original can make again;
    `withdrawn`: it held text of a recording that was erased (schema 2).
    """

    schema_version: Literal[1, 2] = 1
    show: Slug
    why: Literal["left out", "collected", "withdrawn"]
    keys: tuple[str, ...]


# ---- pipeline ----------------------------------------------------------------------------------------------------


class PipelineRequest(Record):
    """From sources to an AI episode in one order; leave out `episode` to stop at the adapter.

    `host_is` answers "which is the host?" for the first spoken recording: a speaker label (S1) or a second (12.5).
    """

    show: Slug
    sources: tuple[Source, ...] = ()
    subscriptions: tuple[str, ...] = Field(default=(), description="ids of the show's sources to refresh first")
    host_is: str | None = Field(default=None, pattern=r"^(S[1-9]|\d+(\.\d+)?)$")
    dataset: DatasetOptions = DatasetOptions()
    training: TrainOptions = TrainOptions()
    episode: EpisodeOptions | None = None


class PipelineResult(Record):
    recordings: tuple[str, ...]
    transcripts: tuple[str, ...]
    dataset: str
    adapter: str
    episode: str | None = None


# ---- job ---------------------------------------------------------------------------------------------------------


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Progress(Record):
    """Where a job is: `done` of `total` `unit`s of `stage`; `eta_s` is an estimate of the seconds left in the stage."""

    stage: str
    done: float = 0
    total: float | None = None
    unit: str = ""
    eta_s: float | None = None
    note: str = ""
    figures: dict[str, float] = Field(default={}, description="live figures: loss, tokens_per_s, memory_gb, ...")


class Problem(Record):
    """RFC 9457. `detail` says what happened and what to do next."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    trace_id: str | None = None
    retryable: bool = False
    changes: tuple[dict[str, Any], ...] = Field(
        default=(), description="of a conflict: what others changed meanwhile, oldest first"
    )


class Job(Record):
    id: str
    kind: str
    service: str
    state: JobState
    show: str | None = None
    actor: str = ""
    trace_id: str = ""
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    problem: Problem | None = None
    created_at: datetime
    updated_at: datetime
    links: dict[str, str] = {}
    estimate: WritingEstimate | None = Field(default=None, description="in the answer to an order for an episode")
