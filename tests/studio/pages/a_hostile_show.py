"""A show in which every text that can come from outside attacks whoever reads it, and services that answer alike."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from services.studio.comparisons import Compared, Comparison, ComparisonRequest
from services.studio.crew import remote_job_id
from services.studio.doors.job_logs import ServiceLines
from services.studio.doors.status import ServiceStatus
from shared import keys
from shared.corrections import Glossary, Repeats, RevisionSummary
from shared.errors import BadInputError
from shared.guests import Fact, GuestSheet, guest_id
from shared.renderings import EpisodeAudio
from shared.schemas import (
    Adapter,
    Chapter,
    Checkpoint,
    Claim,
    Dataset,
    DatasetRequest,
    Episode,
    EpisodeRequest,
    EpisodeTurn,
    Example,
    GuestGuess,
    HostMethod,
    LikelyAnswer,
    Lineage,
    PlannedChapter,
    PlannedQuestion,
    QuestionChapter,
    QuestionSheet,
    RecitedSpan,
    Recording,
    RecordingEdits,
    Role,
    Run,
    Show,
    Track,
    TrainRequest,
    Transcript,
    TranscriptState,
)
from shared.store import create_manifest, load, put_blob
from shared.subscriptions import FailedItem, FoundItem, LastRefresh, RefreshResult, Subscription
from tests.fakes import MemoryStore, ScriptedCrew
from tests.studio.a_dataset import example, points, put_dataset, put_run
from tests.studio.a_show import put_audio
from tests.studio.pages.a_review import put_talk
from tests.studio.pages.a_talk import advert, cluster, put_recording, put_repeats, put_transcript, tone
from tests.studio.pages.an_episode import an_episode, put_episode, said, turns_of

R = TypeVar("R", bound=BaseModel)

ATTACK = """"><img src=x onerror=window.hacked=1></script><script>window.hacked=1</script>{{7*7}}${7*7}"""
ENDING = "\u2028\u202e'javascript:window.hacked=1'" + "W" * 5000
LENGTHS = (5200, 2000, 1000, 600, 300, 160, 120, 80)  # the longest that a field takes is what it gets
SHOWS_UP = ATTACK[:38]
"""The beginning of each attack, behind the name of its field: where a page shows it, it shows it as text."""

OURS = {  # names that we give ourselves, and texts that a program goes by
    "id", "show", "key", "sha256", "media_type", "recording", "recordings", "transcript", "transcripts", "dataset",
    "adapter", "adapters", "revision", "revisions", "episode", "job", "parent", "revises", "restores", "batch", "base",
    "base_revision", "family", "source_withdrawn", "settled_by", "jobs_before", "grams", "upload_key", "made_from",
    "links",
    "Adapter.name", "Turn.speaker", "Speaker.label", "RefreshResult.source", "RefreshRequest.source",
    "GuestResult.guest",
}  # fmt: skip
ADDRESSES = {"address", "url", "source"}


# ---- poison ----------------------------------------------------------------------------------------------------------


def hostile(told: str, length: int = 300) -> str:
    """An attack that tells where it stands. What may become an address begins as one that would run."""
    begin = "javascript:window.hacked=1//" if told.rsplit(".", 1)[-1] in ADDRESSES else ""
    return (begin + told + ATTACK + ENDING)[:length]


def poisoned(record: R) -> R:
    """The record with an attack in every text that is not ours, also where there was none."""
    changes = {
        name: changed
        for name, value in ((name, getattr(record, name)) for name in type(record).model_fields)
        if not _stays(record, name) and (changed := _poisoned(value, type(record), name)) is not None
    }
    return record.model_copy(update=changes)


def _stays(record: BaseModel, name: str) -> bool:
    """Whether a text is ours, or would contradict what stands beside it."""
    value = getattr(record, name)
    holds_records = isinstance(value, tuple) and any(isinstance(one, BaseModel) for one in value)
    if (name in OURS and not holds_records) or f"{type(record).__name__}.{name}" in OURS:
        return True
    is_no_guest = name == "consent" and getattr(record, "guest_is", None) != "consented"
    return is_no_guest or (name == "error" and getattr(record, "episode", None) is not None)


def _poisoned(value: Any, record: type[BaseModel], name: str) -> Any:
    if isinstance(value, BaseModel):
        return poisoned(value)
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        return tuple(poisoned(one) for one in value)
    if isinstance(value, dict) and value:
        return {
            key: poisoned(one) if isinstance(one, BaseModel) else hostile(name) if isinstance(one, str) else one
            for key, one in value.items()
        }
    is_text = value is None or type(value) is str or (isinstance(value, tuple) and all(type(x) is str for x in value))
    return _attack_of(record, name) if is_text else None


@cache
def _attack_of(record: type[BaseModel], name: str) -> Any:
    """The longest attack that a field takes, alone or in a list; None for one that takes none."""
    field = record.model_fields[name]
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    adapter = TypeAdapter[Any](kind)
    attacks = [hostile(f"{record.__name__}.{name}", length) for length in LENGTHS]
    for candidate in (*attacks, *((attack,) for attack in attacks)):
        try:
            return adapter.validate_python(candidate)
        except ValidationError:
            continue
    return None


# ---- the show --------------------------------------------------------------------------------------------------------

LINEAGE = Lineage(by="test", version="0.1.0", job="j1", actor="ann")
KINDS: Sequence[tuple[str, type[BaseModel]]] = (
    (r"show\.json", Show),
    (r"recordings/.*", Recording),
    (r"edits/.*", RecordingEdits),
    (r"transcripts/.*\.json", Transcript),
    (r"repeats\.json", Repeats),
    (r"glossary\.json", Glossary),
    (r"guests/.*", GuestSheet),
    (r"datasets/.*", Dataset),
    (r"runs/.*", Run),
    (r"checkpoints/.*", Checkpoint),
    (r"adapters/.*", Adapter),
    (r"episodes/.*/episode\.json", Episode),
    (r"episodes/.*/questions\.json", QuestionSheet),
    (r"episodes/.*/audio\.json", EpisodeAudio),
    (r"episodes/.*/turns/.*", EpisodeTurn),
    (r"comparisons/.*", Comparison),
    (r"sources/.*", Subscription),
    (r"refreshes/.*", LastRefresh),
)
AS_IT_IS = re.compile(r"shows/lamp/(transcripts/.*/head|episodes/.*/spoken\.json)")


def put_hostile_show(store: MemoryStore) -> None:
    """The show `lamp` with something of every kind, all of it hostile."""
    _put_dataset_and_runs(store)
    _put_recordings(store)
    _put_episodes(store)
    _put_sources(store)
    for key in store.list("shows/"):
        if not AS_IT_IS.fullmatch(key):
            poison(store, key)


def poison(store: MemoryStore, key: str) -> None:
    """Make what is stored at a key hostile. It stays what its readers take."""
    [kind] = [kind for pattern, kind in KINDS if re.fullmatch(f"shows/lamp/{pattern}", key)]
    changed = poisoned(load(store, key, kind)).model_dump_json()
    kind.model_validate_json(changed)
    store.objects[key] = changed.encode()


def _put_dataset_and_runs(store: MemoryStore) -> None:
    examples: list[Example] = [poisoned(example("Ann", said(20, n), said(20, n + 50))) for n in range(4)]
    lines = "".join(f"{one.model_dump_json()}\n" for one in examples).encode()
    put_dataset(store, train=put_blob(store, lines, "application/jsonl"), eval=put_blob(store, lines, "application/x"))
    put_run(store, 1, points(2.9, None, 2.5), kept=2)
    put_run(store, 2, points(2.9, 2.6))


def _put_recordings(store: MemoryStore) -> None:
    """r1 with doubts, r2 without a host, r3 published without audio, r4 approved."""
    put_talk(store, "r1")
    talk = load(store, keys.recording("lamp", "r1"), Recording)
    assert talk.working is not None
    more = {
        "chapters": (Chapter(title="One", start_s=0, end_s=2),),
        "excluded_spans": (advert(1, 2),),
        "guest_guess": GuestGuess(name="Ann Reed", confidence=0.5, found_in="title"),
        "tracks": (Track(speaker="Ann", offset_s=0, original=talk.original, working=talk.working),),
        "metadata": {"album": "Lamps"},
    }
    store.objects[keys.recording("lamp", "r1")] = talk.model_copy(update=more).model_dump_json().encode()
    put_recording(store, "r2", tone(8))
    put_transcript(store, "r2")
    put_recording(store, "r3", duration_s=None)
    put_recording(store, "r4", tone(8))
    put_transcript(store, "r4", (Role.HOST, Role.GUEST), HostMethod.SET, state=TranscriptState.APPROVED)
    create_manifest(store, keys.edits("lamp", "r1"), RecordingEdits(facts=("Ann mends lamps.",), by="ann"))
    put_repeats(store, cluster("k1", ["r1", "r2", "r4", "r1", "r2", "r4"]), cluster("k2", ["r1", "gone"], kind="keep"))
    create_manifest(store, keys.glossary("lamp"), Glossary(show="lamp", terms=("Fresnel",), by="ann"))


def _put_episodes(store: MemoryStore) -> None:
    """e0, its revision e1 with sound, e2 of somebody who was not asked, q1 of questions, c1 that compares."""
    turns = turns_of([said(60, seed) for seed in range(12)], closed=False, rejected=("it loops",), written_by="ann")
    recited = (RecitedSpan(turn=0, first_word=0, last_word=3, recording="r1", start_s=1.0),)
    brief = {"guest_is": "consented", "consent": "a letter", "facts": ["Orla mends lamps."]}
    for name, parent in (("e0", None), ("e1", "e0")):
        episode = an_episode(turns, recited, id=name, adapter="lamp.r1.c2", revises=parent, brief=brief, changes="x")
        report = episode.report.model_copy(
            update={
                "advert_words": ("promo code",),
                "unsourced": (Claim(turn=1, text="1998", kind="number"),),
                "answers_by_likelihood": (LikelyAnswer(turn=0, text="Yes.", margin=1.5),),
            }
        )
        put_episode(store, episode.model_copy(update={"report": report}))
    put_episode(store, an_episode(turns[:2], id="e2", adapter=None, brief={"guest_is": "real_without_consent"}))
    put_audio(store, "lamp", tone(8))
    sheet = QuestionSheet(
        id="q1", show="lamp", guest="Orla", host="Mara", brief=EpisodeRequest(show="lamp", guest="Orla"), adapter=None,
        label="base", base_model="tests/tiny", base_revision="r" * 40, lineage=LINEAGE,
        chapters=(
            QuestionChapter(title="One", start_min=0, end_min=5, questions=(PlannedQuestion(about="x", question="y"),)),
        ),
    )  # fmt: skip
    create_manifest(store, keys.questions("lamp", "q1"), sheet)
    compared = Comparison(
        id="c1", show="lamp", brief=ComparisonRequest(show="lamp", guest="Orla", adapters=("lamp.r1.c2", "base")),
        episodes=(
            Compared(adapter="lamp.r1.c2", episode="e1"),
            Compared(adapter="base", episode="e2"),
            Compared(adapter="lamp.r2.c1", error="no room"),
        ),
        lineage=LINEAGE,
    )  # fmt: skip
    create_manifest(store, keys.comparison("lamp", "c1"), compared)
    name = guest_id("Orla Finch")
    facts = (Fact(text="Orla mends lamps.", sentence="She mends.", source="text", by="source"), Fact(text="She sings."))
    known = GuestSheet(id=name, show="lamp", name="Orla Finch", facts=facts, changed_by="ann", lineage=LINEAGE)
    create_manifest(store, keys.guest("lamp", name), known)


SOURCES = ("preview", "brought", "waits", "fails", "silent")


def _put_sources(store: MemoryStore) -> None:
    for name in SOURCES:
        source = Subscription(id=name, show="lamp", address="https://example.org/feed", private=True)
        create_manifest(store, keys.source("lamp", name), source)
    create_manifest(store, keys.refresh("lamp", "silent"), LastRefresh(result=refreshed("silent", dry_run=False)))


def refreshed(source: str, *, dry_run: bool) -> RefreshResult:
    return poisoned(
        RefreshResult(
            source=source, title="A feed", dry_run=dry_run, found=9, new=2, known=3, erased=0,
            left_out={hostile("RefreshResult.left_out", 120): 2}, hours=2.0, bytes=9_000_000, recordings=("r1",),
            failed=(FailedItem(id="i1", title="Talk", problem="gone", again=True),),
            first=(FoundItem(id="i2", title="Talk"),), warnings=("slow",),
        )
    )  # fmt: skip


# ---- what the services say -------------------------------------------------------------------------------------------

CO_HOST = '../../../tokens/vi"><img src=x onerror=window.hacked=1>'
HISTORY = poisoned(
    RevisionSummary(
        id="rev1", parent=None, kind="machine", summary="heard", by="ann", at="2030-01-01T00:00:00Z", state="machine"
    )  # type: ignore[arg-type]
)
LINES = (
    {
        "at": "2030-01-01T10:00:00.000Z", "level": "warning", "service": "trainer", "message": hostile("log.message"),
        "exception": hostile("log.exception", 5200), hostile("log.name", 80): hostile("log.value"),
    },
)  # fmt: skip


def hostile_logs(trace_id: str) -> list[ServiceLines]:
    return [ServiceLines(service="trainer", lines=LINES), poisoned(ServiceLines(service="ingest", away="is away"))]


def hostile_statuses() -> list[ServiceStatus]:
    model = {"name": hostile("model.name"), "state": "failed", "note": hostile("model.note")}
    found = poisoned(ServiceStatus(service="inference", state="ready", version="0.1.0", models=(model,)))
    return [found.model_copy(update={"models": (model,)}), poisoned(ServiceStatus(service="trainer", state="away"))]


class HostileCrew(ScriptedCrew):
    """Services that attack with all they say. What is ordered by `waiting` words goes on until it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        voice = {"model": "ge2e", "speech_s": 9.0, "recordings": ["r1"], "since": "2030-01-01T00:00:00Z"}
        self.answers = {
            "/v1/voiceprints/lamp": (
                200, [{**voice, "name": None, "role": "host"}, {**voice, "name": CO_HOST, "role": "co-host"}]
            ),
            **{f"/v1/history/lamp/{name}": (200, [HISTORY.model_dump(mode="json")]) for name in ("r1", "r2", "r4")},
        }  # fmt: skip

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        _demand_fate(job, _fate_of(path, request))
        if path == "/v1/refreshes":
            return refreshed(request.source, dry_run=request.dry_run)
        return poisoned(super().ask(job, step, service, path, request, result_type))

    def try_each(
        self, job: Any, step: str, service: str, path: str, requests: Sequence[Any], result_type: type[Any]
    ) -> list[Any]:
        _demand_fate(job, "waits")
        return []

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        if path == "/v1/replacements":
            place = {
                "recording": "r1",
                "turn": "t1",
                "start_s": 1.0,
                "before": hostile("before"),
                "after": hostile("x"),
            }
            return {"found": 1, "recordings": 1, "places": [place], "conflicts": ["r2"]}
        if path == "/v1/episodes" and request.review_plan:
            plan = (PlannedChapter(title="Lamps", beats=("the first lamp",)),)
            brief = request.model_copy(update={"review_plan": False, "plan": plan}).model_dump(mode="json")
            return {"episode": "", "key": "", "words": 0, "turns": 0, "canary": None, "brief": brief}
        return super()._answer(path, request)


WAITS, FAILS = 1, 2
"""Seeds of orders that go on until they are stopped, and of those that fail."""


def _fate_of(path: str, request: Any) -> str:
    by_seed = {WAITS: "waits", FAILS: "fails"}
    by_path = {"/v1/renderings": "waits", "/v1/datasets": "waits", "/v1/guests": "fails", "/v1/repeats": "fails"}
    by_source = {"waits": "waits", "fails": "fails"}
    return (
        by_seed.get(getattr(request, "seed", 0), "")
        or by_path.get(path, "")
        or by_source.get(getattr(request, "source", ""), "")
    )


def _demand_fate(job: Any, fate: str) -> None:
    if fate == "fails":
        raise BadInputError(hostile("Problem.detail", 5200))
    while fate == "waits":
        job.check()
        note = hostile("Progress.note", 2000)
        job.progress(hostile("Progress.stage"), 1, 4, hostile("Progress.unit", 120), note, {"loss": 1.5})
        threading.Event().wait(0.2)


ACTOR = '"><img src=x onerror=window.hacked=1>' + "W" * 300


def orders() -> dict[str, tuple[str, dict[str, Any], str]]:
    """Name -> path, body and the state that it comes to."""

    def brief(**facts: Any) -> dict[str, Any]:
        asked = EpisodeRequest.model_validate({"show": "lamp", "guest": "Orla", "minutes": 10, **facts})
        return poisoned(asked).model_dump(mode="json", exclude={"plan"})

    def refresh(source: str, *, dry_run: bool = False) -> tuple[str, dict[str, Any]]:
        return "/v1/refreshes", {"show": "lamp", "source": source, "dry_run": dry_run}

    train = poisoned(TrainRequest(show="lamp", dataset="d9", seed=WAITS)).model_dump(mode="json")
    dataset = poisoned(DatasetRequest(show="lamp")).model_dump(mode="json")
    compare = brief() | {"adapters": ["lamp.r1.c2", "base"]}
    compare.pop("adapter"), compare.pop("review_plan"), compare.pop("write")
    return {
        "plan-order": ("/v1/episodes", brief(review_plan=True), "done"),
        "grows-order": ("/v1/episodes", brief(seed=WAITS), "running"),
        "broke-order": ("/v1/episodes", brief(seed=FAILS), "failed"),
        "compare-order": ("/v1/comparisons", compare, "running"),
        "render-order": ("/v1/renderings", {"show": "lamp", "episode": "e1"}, "running"),
        "dataset-order": ("/v1/datasets", dataset, "running"),
        "train-order": ("/v1/adapters", train, "running"),
        "broke-train": ("/v1/adapters", train | {"seed": FAILS}, "failed"),
        "repeats-order": ("/v1/repeats", {"show": "lamp"}, "failed"),
        "replace-order": (
            "/v1/replacements", {"show": "lamp", "find": hostile("find"), "replace": hostile("replace")}, "done",
        ),
        "guest-order": ("/v1/guests", {"show": "lamp", "name": hostile("name"), "text": hostile("text")}, "failed"),
        "preview-order": (*refresh("preview", dry_run=True), "done"),
        "brought-order": (*refresh("brought"), "done"),
        "waits-order": (*refresh("waits"), "running"),
        "fails-order": (*refresh("fails"), "failed"),
    }  # fmt: skip


def put_what_grows(store: MemoryStore) -> None:
    """What jobs have stored so far: turns of the episode that grows, the run that trains."""
    for number, order in ((3, "train-order"), (4, "broke-train")):
        run = Run(number=number, job=remote_job_id(order, "train"), request=TrainRequest(show="lamp", dataset="d9"))
        create_manifest(store, keys.run("lamp", number), poisoned(run))
    for order in ("grows-order", "broke-order"):
        for turn in turns_of([said(9, seed) for seed in range(4)]):
            create_manifest(store, keys.episode_turn("lamp", growing(order), turn.index), poisoned(turn))


def growing(order: str) -> str:
    """The episode that an order writes."""
    return keys.episode_id(remote_job_id(order, "write"))


def comparing(order: str = "compare-order") -> str:
    return keys.comparison_id(order)
