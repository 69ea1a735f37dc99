"""Where a show stands on its way from interviews to AI episodes, and what is sensible next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.studio.glances import Seen
from services.studio.library import Library
from services.studio.pages import words
from services.studio.review import review_s
from shared.schemas import Dataset, HostMethod, Job, Recording, TranscriptState


@dataclass(frozen=True)
class Stand:
    """A show in numbers.

    hours          of audio
    silent         recordings that came as published transcripts, without audio
    untranscribed  recordings with audio and no transcript
    hostless       transcripts in which nobody is the host yet: they cannot be learnt from
    guessed        transcripts whose host is only guessed from what is said
    doubtful       turns that the system itself doubts, in `to_review` transcripts; listening to them takes `review_s`
    unread         transcripts that are being read right now, and not counted yet
    repeats        repeated spans that nobody has classified; None: nobody has looked for any
    dataset        the newest one
    stale          recordings that were transcribed or corrected since the newest dataset was built
    """

    slug: str
    sources: int
    recordings: int
    hours: float
    silent: int
    untranscribed: int
    transcribed: int
    hostless: int
    guessed: int
    doubtful: int
    to_review: int
    review_s: float
    approved: int
    unread: int
    repeats: int | None
    datasets: int
    dataset: Dataset | None
    stale: int
    runs: int
    adapters: int
    episodes: int
    busy: frozenset[str]


@dataclass(frozen=True)
class Station:
    """A place on the way. `state` is ok, look or empty."""

    name: str
    count: int
    unit: str
    told: tuple[str, ...]
    address: str
    state: str


@dataclass(frozen=True)
class Step:
    """What is sensible next: a page to open, or an order (`api`, `body`) to send right away."""

    title: str
    why: str
    address: str = ""
    api: str = ""
    body: dict[str, object] | None = None


def stand_of(library: Library, seen: Seen, show: str, jobs: Sequence[Job]) -> Stand:
    """Read where a show stands.

    seen   its transcripts at a glance
    jobs   its newest ones
    """
    recordings = library.recordings(show)
    datasets = library.datasets(show)
    newest = max(datasets, key=lambda one: one.lineage.made_at, default=None)
    waiting = [one for one in seen.glances if one.state is not TranscriptState.APPROVED and one.doubtful]
    turns = [item for one in waiting for item in one.doubtful]
    heard = {one.recording for one in seen.glances}
    counts = library.counts(show)
    return Stand(
        slug=show,
        sources=counts["sources"],
        recordings=len(recordings),
        hours=sum(one.duration_s or 0 for one in recordings) / 3600,
        silent=sum(one.working is None for one in recordings),
        untranscribed=0 if seen.unread else sum(_waits(one, heard) for one in recordings),
        transcribed=len(seen.glances),
        hostless=sum(not one.host_known for one in seen.glances),
        guessed=sum(one.host_known and one.host_method is HostMethod.GUESSED for one in seen.glances),
        doubtful=len(turns),
        to_review=len(waiting),
        review_s=review_s(turns),
        approved=sum(one.state is TranscriptState.APPROVED for one in seen.glances),
        unread=seen.unread,
        repeats=library.unclassified_repeats(show),
        datasets=len(datasets),
        dataset=newest,
        stale=len(new_since(newest, seen)) if newest else 0,
        runs=counts["runs"],
        adapters=counts["adapters"],
        episodes=counts["episodes"],
        busy=frozenset(job.kind for job in jobs if not job.state.ended),
    )


def _waits(recording: Recording, heard: set[str]) -> bool:
    return recording.working is not None and recording.id not in heard


def new_since(dataset: Dataset, seen: Seen) -> list[str]:
    """Recordings whose current revision the dataset has not read."""
    read = {source.key.rsplit("/", 1)[1].removesuffix(".json") for source in dataset.lineage.made_from}
    return [one.recording for one in seen.glances if one.host_known and one.revision not in read]


def stations(stand: Stand) -> list[Station]:
    """The way as a picture, in order."""
    place = f"/shows/{stand.slug}"
    told_in = [f"{words.span(stand.hours * 3600)} of audio"]
    if stand.silent:
        told_in.append(f"{words.count(stand.silent, 'published transcript')} without audio")
    told_heard = []
    if stand.unread:
        told_heard.append(f"{stand.unread} are being read")
    if stand.untranscribed:
        told_heard.append(f"{stand.untranscribed} waiting")
    if stand.hostless:
        told_heard.append(f"host unknown in {stand.hostless}")
    if stand.guessed:
        told_heard.append(f"host guessed in {stand.guessed}")
    told_review = [f"{words.count(stand.doubtful, 'doubtful turn')}, about {words.span(stand.review_s)}"]
    if stand.approved:
        told_review.append(f"{stand.approved} approved")
    enough = {"no": "not enough yet", "little": "a little", "yes": "enough"}
    report = stand.dataset.report if stand.dataset else None
    told_data = ([enough[report.enough]] if report else []) + ([f"{stand.stale} changed since"] if stand.stale else [])
    return [
        Station("In", stand.recordings, "recording", tuple(told_in), f"{place}/recordings", _state(stand.recordings)),
        Station(
            "Transcribed", stand.transcribed, "transcript", tuple(told_heard), f"{place}/recordings",
            _state(stand.transcribed, stand.untranscribed + stand.hostless + stand.guessed),
        ),
        Station(
            "Waiting for review", stand.to_review, "transcript", tuple(told_review) if stand.doubtful else ("nothing",),
            f"{place}/review", "look" if stand.to_review else _state(stand.transcribed),
        ),
        Station(
            "Datasets", stand.datasets, "dataset", tuple(told_data), f"{place}/datasets",
            _state(stand.datasets, stand.stale),
        ),
        Station("Trained models", stand.adapters, "LoRA adapter", (), f"{place}/runs", _state(stand.adapters)),
        Station("AI episodes", stand.episodes, "episode", (), f"{place}/episodes", _state(stand.episodes)),
    ]  # fmt: skip


def _state(count: int, doubts: int = 0) -> str:
    return "empty" if not count else "look" if doubts else "ok"


def next_step(stand: Stand) -> Step | None:
    """One sensible thing to do now; None while studio is at the one that comes next."""
    wanted = _first_needed(stand)
    if wanted is None or stand.busy & set(wanted.busy_with):
        return None
    return wanted.step


@dataclass(frozen=True)
class _Needed:
    """A step, and the jobs that do it: while one of them goes on, nobody needs to."""

    step: Step
    busy_with: tuple[str, ...] = ()


def _first_needed(stand: Stand) -> _Needed | None:
    if not stand.recordings:
        return _Needed(_add_recordings(stand), ("ingest", "refresh", "pipeline"))
    if stand.unread:
        return None
    if stand.hostless or stand.guessed:
        return _Needed(_name_host(stand), ("find-host", "pipeline"))
    if stand.untranscribed:
        return _Needed(_transcribe(stand), ("transcribe", "transcribe-missing", "pipeline"))
    if stand.repeats is None and stand.transcribed > 1:
        return _Needed(_find_repeats(stand), ("repeats",))
    if stand.repeats:
        return _Needed(_classify(stand))
    if stand.doubtful and not stand.datasets:
        return _Needed(_review(stand))
    if stand.dataset is None or stand.stale:
        return _Needed(_build(stand), ("dataset", "pipeline"))
    if not stand.adapters:
        return _Needed(_train(stand, stand.dataset), ("train", "pipeline"))
    return _Needed(_write(stand), ("write", "pipeline"))


def _add_recordings(stand: Stand) -> Step:
    why = "Nothing is here yet: paste the address of a feed or channel, or drop files."
    return Step("Add recordings", why, f"/shows/{stand.slug}/sources")


def _name_host(stand: Stand) -> Step:
    if not stand.hostless:
        guessed = f"In {words.count(stand.guessed, 'transcript')} the host is only guessed from what is said."
        return Step("Say who the host is", f"{guessed} Listen, and say.", f"/shows/{stand.slug}/host")
    return Step(
        "Say who the host is",
        f"In {words.count(stand.hostless, 'transcript')} nobody is known as the host: nothing can be learnt from them "
        "until somebody says who it is. One answer teaches the host's voice; the others are recognised by it.",
        f"/shows/{stand.slug}/host",
    )


def _transcribe(stand: Stand) -> Step:
    title = f"Transcribe {words.count(stand.untranscribed, 'recording')}"
    return _order(title, "They are in, and nobody has listened to them yet.", "/v1/transcripts/missing", stand)


def _find_repeats(stand: Stand) -> Step:
    why = (
        "What is said nearly word for word in several recordings is found, and kept out of training until you say what "
        "it is."
    )
    return _order("Look for adverts and greetings", why, "/v1/repeats", stand)


def _classify(stand: Stand) -> Step:
    why = "Adverts and trailers stay out of training; a greeting belongs to the host's manner and comes in."
    title = f"Classify {words.count(stand.repeats or 0, 'repeated span')}"
    return Step(title, why, f"/shows/{stand.slug}/repeats")


def _review(stand: Stand) -> Step:
    why = (
        f"The system says itself that it is unsure of them. It takes about {words.span(stand.review_s)}; you may also "
        "build a dataset first and come back."
    )
    return Step(f"Review {words.count(stand.doubtful, 'doubtful turn')}", why, f"/shows/{stand.slug}/review")


def _build(stand: Stand) -> Step:
    why = (
        f"{words.count(stand.stale, 'transcript')} changed since the last one."
        if stand.dataset
        else "From all transcripts whose host is known; you see what is in, what is out and whether it is enough."
    )
    return _order("Build a dataset", why, "/v1/datasets", stand)


def _train(stand: Stand, dataset: Dataset) -> Step:
    why = "The dataset is there; training shows its losses live and keeps the best checkpoint."
    return Step("Train a model", why, f"/shows/{stand.slug}/datasets/{dataset.id}")


def _write(stand: Stand) -> Step:
    address = f"/shows/{stand.slug}/episodes/new"
    if stand.episodes:
        return Step("Write an AI episode", "With any guest you name.", address)
    why = "The model is trained: name a guest, read ten minutes, then extend it to full length."
    return Step("Write a 10-minute sample", why, address)


def _order(title: str, why: str, path: str, stand: Stand) -> Step:
    return Step(title, why, api=f"POST {path}", body={"show": stand.slug})
