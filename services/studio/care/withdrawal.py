"""What is said of things whose source was erased: which they are, what is left in their manifests, their model card.

Pure. A dataset holds text of its recordings, so its examples go and its manifest stays; weights and episodes stay, and
say which recordings behind them are withdrawn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from services.studio.comparisons import COMPARE
from shared.forgetting import RememberedJob
from shared.schemas import Adapter, Dataset, DatasetReport, Judged, Recording, Transcript
from shared.spoken import guest_key
from shared.subscriptions import FailedItem, FoundItem, LastRefresh

OF_A_RECORDING = re.compile(r"^shows/[^/]+/(?:recordings|transcripts|edits)/([^/]+?)(?:\.json)?(?:/.*)?$")
REMOTE_JOB = re.compile(r"^(.+)\.[A-Za-z0-9-]+\.\d+$")
WITHDRAWN_TITLE = WITHDRAWN_GUEST = "withdrawn"


def recording_of(key: str) -> str | None:
    """The recording that a key belongs to: `r1` of `shows/lamp/transcripts/r1/rev.json`."""
    found = OF_A_RECORDING.match(key)
    return found.group(1) if found else None


def descendants(recording: str, manifests: Mapping[str, dict[str, Any]]) -> list[str]:
    """Keys of what was made from a recording, directly or not, in order.

    manifests   key -> manifest of everything that may be: datasets, adapters, episodes
    """
    found: set[str] = set()
    grown = True
    while grown:
        grown = False
        for key, manifest in manifests.items():
            if key not in found and _is_made_from(manifest, recording, found):
                found.add(key)
                grown = True
    return sorted(found)


def _is_made_from(manifest: dict[str, Any], recording: str, found: Collection[str]) -> bool:
    sources = [source["key"] for source in manifest.get("lineage", {}).get("made_from", ())]
    return any(source in found or recording_of(source) == recording for source in sources)


# ---- manifests -------------------------------------------------------------------------------------------------------


def withdrawn(known: Sequence[str], recording: str) -> tuple[str, ...]:
    return tuple(sorted({*known, recording}))


def withdrawn_dataset(dataset: Dataset, recording: str, others: Collection[str]) -> Dataset:
    """Without names of guests but those in `others`, who talk in recordings that are still here."""
    known = {guest_key(name) for name in others}
    gone = {name for name in (*dataset.train_guests, *dataset.eval_guests) if guest_key(name) not in known}
    recordings = withdrawn(dataset.source_withdrawn, recording)
    return dataset.model_copy(
        update={
            "source_withdrawn": recordings,
            "train_guests": tuple(name for name in dataset.train_guests if name not in gone),
            "eval_guests": tuple(name for name in dataset.eval_guests if name not in gone),
            "warnings": _without_sentences_on(gone, dataset.warnings),
            "report": _withdrawn_report(dataset.report, recordings, gone) if dataset.report else None,
        }
    )


def _withdrawn_report(report: DatasetReport, recordings: Collection[str], gone: Collection[str]) -> DatasetReport:
    """With all figures; without names of guests who are gone, and in rows of withdrawn recordings without any."""
    keys = {guest_key(name) for name in gone}
    rows = tuple(
        row.model_copy(update={"guest": WITHDRAWN_GUEST})
        if row.recording in recordings or guest_key(row.guest) in keys
        else row
        for row in report.recordings
    )
    return report.model_copy(update={"recordings": rows, "advice": _without_sentences_on(gone, report.advice)})


def withdrawn_adapter(adapter: Adapter, recording: str, others: Collection[str]) -> Adapter:
    """Without what it said in held-out interviews, and without names of guests but those in `others`."""
    known = {guest_key(name) for name in others}
    judged = [adapter.base_judged, *(point.judged for point in adapter.metrics)]
    names = {guest.guest for one in judged if one for guest in one.guests}
    gone = {name for name in names if guest_key(name) not in known}
    metrics = tuple(
        point.model_copy(update={"judged": _withdrawn_judged(point.judged, gone)}) for point in adapter.metrics
    )
    return adapter.model_copy(
        update={
            "source_withdrawn": withdrawn(adapter.source_withdrawn, recording),
            "metrics": metrics,
            "base_judged": _withdrawn_judged(adapter.base_judged, gone),
            "warnings": _without_sentences_on(gone, adapter.warnings),
        }
    )


def _withdrawn_judged(judged: Judged | None, gone: Collection[str]) -> Judged | None:
    if judged is None:
        return None
    guests = tuple(
        one.model_copy(update={"guest": WITHDRAWN_GUEST}) if one.guest in gone else one for one in judged.guests
    )
    return judged.model_copy(update={"guests": guests, "samples": ()})


def _without_sentences_on(names: Collection[str], sentences: Sequence[str]) -> tuple[str, ...]:
    """Those that name none of these people."""
    named = [re.compile(rf"(?<!\w){re.escape(guest_key(name))}(?!\w)") for name in names]
    return tuple(text for text in sentences if not any(name.search(guest_key(text)) for name in named))


def metrics_jsonl(adapter: Adapter) -> str:
    """metrics.jsonl of an adapter, from its manifest: the one before may name guests."""
    return "".join(f"{point.model_dump_json()}\n" for point in adapter.metrics)


def guests_in(recording: Recording | None, transcripts: Iterable[Transcript]) -> set[str]:
    """Every name that a recording's guest is given, in it or in its transcripts."""
    names = {transcript.guest for transcript in transcripts}
    if recording is not None:
        names |= {recording.guest, recording.guest_guess.name if recording.guest_guess else None}
    return {name for name in names if name}


def model_card(adapter: Adapter) -> str:
    """README.md of an adapter with a source withdrawn, from its manifest alone: the one before may name guests."""
    parameters = adapter.lineage.parameters
    rows = "\n".join(f"| {name} | {value} |" for name, value in sorted(parameters.items()))
    return f"""---
base_model: {json.dumps(adapter.base_model)}
base_model_revision: {json.dumps(adapter.base_revision)}
library_name: peft
pipeline_tag: text-generation
tags: [lora, sft, interview-podcast]
---

# {adapter.name}

LoRA adapter for an interview podcast. What it writes is generated by a machine, and is fiction.

**Source withdrawn**: {len(adapter.source_withdrawn)} of the recordings behind it were erased after it was trained.

| | |
|---|---|
| loss on held-out guests | {adapter.eval_loss_before:.4f} before, {adapter.eval_loss_after:.4f} after |
{rows}
"""


def withdrawn_refresh(
    refresh: LastRefresh, recording: str, titles: Collection[str], items: Collection[str] = ()
) -> LastRefresh:
    """How the last refresh went, without the title of a recording; `items` are those that became it."""
    result = refresh.result
    update = {
        "first": tuple(_nameless(item, recording, titles, items) for item in result.first),
        "failed": tuple(_nameless_failure(item, titles, items) for item in result.failed),
        "warnings": tuple(text for text in result.warnings if not any(title in text for title in titles)),
    }
    return refresh.model_copy(update={"result": result.model_copy(update=update)})


def _nameless(item: FoundItem, recording: str, titles: Collection[str], items: Collection[str]) -> FoundItem:
    if item.recording != recording and item.title not in titles and item.id not in items:
        return item
    return FoundItem(id=item.id, title=WITHDRAWN_TITLE, state="erased", recording=recording)


def _nameless_failure(item: FailedItem, titles: Collection[str], items: Collection[str]) -> FailedItem:
    if item.title not in titles and item.id not in items:
        return item
    return item.model_copy(update={"title": WITHDRAWN_TITLE, "problem": WITHDRAWN_TITLE})


# ---- jobs ------------------------------------------------------------------------------------------------------------


def job_words(recording: Recording, transcripts: Iterable[str], sha256s: Iterable[str]) -> tuple[str, ...]:
    """Ids that a job mentions only if it had to do with this recording."""
    return tuple(sorted({recording.id, *transcripts, *sha256s}))


def jobs_of(recording: Recording) -> tuple[str, ...]:
    """The job that brought it, and the order that this was a step of."""
    job = recording.lineage.job
    order = REMOTE_JOB.match(job)
    return (job, order.group(1)) if order else (job,)


def job_texts(recording: Recording, as_edited: Recording) -> tuple[str, ...]:
    """Values by which a job that failed, or only listed it, tells it: titles, file name, address."""
    told = [recording.metadata.get(name) for name in ("title", "filename", "webpage_url")]
    address = recording.source.removeprefix("upload:")
    texts = {recording.title, as_edited.title, address, *(text for text in told if isinstance(text, str))}
    return tuple(sorted(text for text in texts if text))


def in_the_way(jobs: Iterable[RememberedJob], recording: str, made: Collection[str]) -> list[RememberedJob]:
    """Unfinished jobs of its show that read the recording, or something made of it, or may show a model a piece of it.

    made   names of the datasets and adapters made from it
    """
    return [job for job in jobs if job.mentions or _reads(job, recording, made)]


def _reads(job: RememberedJob, recording: str, made: Collection[str]) -> bool:
    asked = job.request
    if job.kind in ("dataset", "pipeline"):
        chosen = (asked if job.kind == "dataset" else asked.get("dataset", {})).get("recordings", ())
        return not chosen or recording in chosen
    if job.kind == "train":
        return asked.get("dataset") in made or asked.get("continue_from") in made
    return job.kind in ("write", "revise", COMPARE)
