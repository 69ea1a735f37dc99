"""A whole small show in any store, with the lineage that the services write: what tests of data care look at."""

from __future__ import annotations

import json

from shared import keys
from shared.ai_mark import DIGITAL_SOURCE_TYPE
from shared.renderings import EpisodeAudio, Sound, SpokenSpan, SpokenTurns
from shared.schemas import (
    Adapter,
    Blob,
    Chapter,
    Dataset,
    DatasetReport,
    Episode,
    EpisodeRequest,
    EpisodeTurn,
    GuestLoss,
    HostMethod,
    Included,
    Judged,
    Lineage,
    MetricPoint,
    Recording,
    Report,
    Role,
    SampleTurn,
    Show,
    Transcript,
    TranscriptState,
    Turn,
    Voiceprint,
)
from shared.store import Store, create_manifest, made_from, point, put_blob

STEPS = 4
GUESTS = {"spoken": "Ann", "published": "Bob"}
REPORT = Report(
    words=4,
    turns=2,
    alternates=True,
    starts_with_host=True,
    empty_turns=0,
    unclosed=0,
    one_word_share=0,
    rep4=0,
    worst_window_rep4=0,
    longest_repeat_words=0,
    verdict="fine",
)


def put_show(store: Store, slug: str = "lamp", *, finished: bool = True) -> str:
    """A show with a spoken and a published recording, both transcribed; a dataset, a run, an episode.

    finished   false: the run has checkpoints, and no adapter yet, so there is no episode either
    returns    key of the episode, or of the dataset
    """
    create_manifest(store, keys.show(slug), Show(slug=slug, title="The Lamplight Hour", host="Mara Quill"))
    spoken = _recording(store, slug, "spoken", b"mp3 " * 500, b"flac " * 300)
    published = _recording(store, slug, "published", b"Mara: Hello.", None)
    transcripts = [_transcript(store, slug, recording) for recording in (spoken, published)]
    voice = Voiceprint(show=slug, model="ge2e", vector=(1.0, 0.0), speech_s=9, lineage=_lineage(store))
    store.create(keys.voiceprint(slug), voice.model_dump_json().encode())
    dataset = _dataset(store, slug, transcripts)
    claim = {"schema_version": 1, "number": 1, "job": "t1", "request": {"show": slug, "dataset": "d1", "steps": STEPS}}
    store.create(keys.run(slug, 1), json.dumps(claim).encode())
    weights = put_blob(store, f"weights of {slug}".encode() * 50, "application/octet-stream")
    for step in (2, STEPS):
        _checkpoint(store, slug, step, weights)
    if not finished:
        return dataset
    adapter = _adapter(store, slug, dataset, weights)
    return _episode(store, slug, adapter)


def _lineage(store: Store, *sources: str) -> Lineage:
    return Lineage(made_from=made_from(store, *sources), by="test", version="0.1.0", job="j1", actor="ann")


def _recording(store: Store, slug: str, name: str, original: bytes, working: bytes | None) -> str:
    key = keys.recording(slug, name)
    recording = Recording(
        id=name,
        show=slug,
        title=f"{GUESTS[name]} on {name} lamps",
        guest=GUESTS[name],
        source=f"upload:{name}",
        original=put_blob(store, original + slug.encode(), "audio/mpeg" if working else "text/plain"),
        working=put_blob(store, working + slug.encode(), "audio/flac") if working else None,
        lineage=_lineage(store),
    )
    create_manifest(store, key, recording)
    return key


def _transcript(store: Store, slug: str, recording: str) -> str:
    name = recording.rsplit("/", 1)[1].removesuffix(".json")
    manifest = Recording.model_validate_json(store.get(recording))
    audio = (manifest.working or manifest.original).key
    transcript = Transcript(
        id="rev1",
        recording=name,
        show=slug,
        kind="machine",
        guest=GUESTS[name],
        speakers=(),
        host_method=HostMethod.SET,
        turns=(Turn(speaker="S2", role=Role.GUEST, start_s=0, end_s=1, text=f"I am {GUESTS[name]}, the {name} one."),),
        lineage=_lineage(store, recording, audio),
    )
    key = keys.transcript(slug, name, "rev1")
    create_manifest(store, key, transcript)
    store.create(keys.transcript_head(slug, name), b"rev1")
    return key


def _dataset(store: Store, slug: str, transcripts: list[str]) -> str:
    dataset = Dataset(
        id="d1",
        show=slug,
        host="Mara Quill",
        train=put_blob(store, f"{slug} train with Ann".encode() * 20, "application/jsonl"),
        eval=put_blob(store, f"{slug} eval with Bob".encode() * 10, "application/jsonl"),
        train_examples=2,
        eval_examples=1,
        train_tokens=20,
        eval_tokens=10,
        train_guests=("Ann",),
        eval_guests=("Bob",),
        left_out=(),
        warnings=("Ann is hard to understand", "Bob is easy to understand"),
        report=_report(),
        max_length=512,
        loss_on="both",
        base_model="tests/tiny",
        base_revision="r" * 40,
        lineage=_lineage(store, *transcripts),
    )
    create_manifest(store, keys.dataset(slug, "d1"), dataset)
    return keys.dataset(slug, "d1")


def _report() -> DatasetReport:
    rows = tuple(
        Included(
            recording=recording,
            transcript="rev1",
            guest=guest,
            state=TranscriptState.MACHINE,
            held_out=guest == "Bob",
            examples=1,
            tokens=10,
            words=5,
            talk_s=1,
        )
        for recording, guest in GUESTS.items()
    )
    return DatasetReport(
        recordings=rows, hours=0, words=10, guests=2, examples=2, tokens=20, supervised_share=1, fill=1,
        words_left_out=0, left_out=(), leaks=(), backchannels=0, fillers=0, enough="no",
        advice=("Add guests.", "Ann says little.", "Bob says little."),
    )  # fmt: skip


def _checkpoint(store: Store, slug: str, step: int, weights: Blob) -> None:
    """The adapter has the weights of the last one; the optimizer's state is its own."""
    state = put_blob(store, f"optimizer of {slug} at {step}".encode() * 100, "application/octet-stream")
    checkpoint = {
        "schema_version": 1,
        "show": slug,
        "run": 1,
        "step": step,
        "job": "t1",
        "dataset": "d1",
        "files": {"adapter_model.safetensors": weights.model_dump(), "optimizer.pt": state.model_dump()},
        "metrics": [],
    }
    store.create(keys.checkpoint(slug, 1, step), json.dumps(checkpoint).encode())


def _adapter(store: Store, slug: str, dataset: str, weights: Blob) -> str:
    name = keys.adapter_name(slug, 1, STEPS)
    card = put_blob(store, f"# {name}\n\n| kept out of training | Bob: 10 tokens |\n".encode(), "text/markdown")
    judged = Judged(
        guests=tuple(GuestLoss(guest=guest, loss=2, tokens=10) for guest in GUESTS.values()),
        recited=0.01,
        longest_recited_words=5,
        samples=(SampleTurn(role="host", text="So, Ann, who is Bob?"),),
    )
    metrics = tuple(MetricPoint(step=step, tokens=100 * step, eval_loss=3, judged=judged) for step in (0, 2, STEPS))
    lines = "".join(f"{point.model_dump_json()}\n" for point in metrics)
    figures = put_blob(store, lines.encode(), "application/jsonl")
    adapter = Adapter(
        name=name,
        show=slug,
        dataset="d1",
        files={"adapter_model.safetensors": weights, "README.md": card, "metrics.jsonl": figures},
        base_model="tests/tiny",
        base_revision="r" * 40,
        rank=16,
        target_modules=("q_proj",),
        eval_loss_before=3,
        eval_loss_after=2,
        metrics=metrics,
        base_judged=judged,
        warnings=("it recites Ann", "it does not recite Bob"),
        lineage=_lineage(store, dataset),
    )
    create_manifest(store, keys.adapter(slug, name), adapter)
    return keys.adapter(slug, name)


def put_audio(store: Store, slug: str = "lamp", mp3: bytes = b"mp3 of e1 " * 100) -> str:
    """The episode's sound, as `diary episodes render` leaves it; returns the key of the file's manifest."""
    sounds = {
        name: Sound(
            made_from_sha256="a" * 64,
            job="j1",
            duration_s=2,
            blob=put_blob(store, f"flac of {slug} {name}".encode() * 9, "audio/flac"),
        )
        for name in ("notice", "0", "1")
    }
    spoken = SpokenTurns(show=slug, episode="e1", sounds=sounds)
    point(store, keys.episode_spoken(slug, "e1"), spoken.model_dump_json().encode())
    audio = EpisodeAudio(
        show=slug,
        episode="e1",
        made_from_sha256="b" * 64,
        mp3=put_blob(store, mp3 + slug.encode(), "audio/mpeg"),
        duration_s=8,
        notice="This conversation was generated by artificial intelligence.",
        chapters=(Chapter(title="AI-generated: notice", start_s=0, end_s=3),),
        turns=(SpokenSpan(turn=0, start_s=3, end_s=5), SpokenSpan(turn=1, start_s=5.5, end_s=7.5)),
        voices={"host": "heart", "guest": "heart-low"},
        digital_source_type=DIGITAL_SOURCE_TYPE,
        lineage=_lineage(store, keys.episode(slug, "e1")),
    )
    point(store, keys.episode_audio(slug, "e1"), audio.model_dump_json().encode())
    return keys.episode_audio(slug, "e1")


def _episode(store: Store, slug: str, adapter: str) -> str:
    turns = tuple(
        EpisodeTurn(index=index, role=role, speaker=role, text="Yes.", tokens=2)  # type: ignore[arg-type]
        for index, role in enumerate(("host", "guest"))
    )
    for turn in turns:
        create_manifest(store, keys.episode_turn(slug, "e1", turn.index), turn)
    episode = Episode(
        id="e1",
        show=slug,
        guest="Orla",
        host="Mara Quill",
        brief=EpisodeRequest(show=slug, guest="Orla"),
        adapter=adapter.rsplit("/", 1)[1].removesuffix(".json"),
        fine_tuned=True,
        label="test",
        canary=True,
        base_model="tests/tiny",
        base_revision="r" * 40,
        turns=turns,
        report=REPORT,
        lineage=_lineage(store, keys.show(slug), adapter),
    )
    create_manifest(store, keys.episode(slug, "e1"), episode)
    return keys.episode(slug, "e1")
