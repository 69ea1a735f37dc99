"""Where every object lives and who writes it: the data-flow map of the product.

    key                                            written by      kind
    blobs/{sha256}                                 any service     content, immutable, named by what it holds
    uploads/{id}, uploads/{id}/...                 studio          a file on its way to ingest, removed afterwards
    imports/{id}.json                              studio          what an import will name, removed when it ends
    probes/{id}                                    any service     of the race probe at start, removed at once
    shows/{show}/show.json                         studio          pointer (changes by compare-and-swap)
    shows/{show}/sources/{id}.json                 studio          pointer: a subscription, without secrets
    secrets/sources/{show}/{id}.json               studio          pointer: the full address of a private one
    shows/{show}/refreshes/{source}.json           ingest          pointer: how its last refresh went
    shows/{show}/items/{hash}.json                 ingest          manifest: which recording an item became
    shows/{show}/recordings/{id}.json              ingest          manifest, immutable
    shows/{show}/edits/{recording}.json            studio          pointer: what people changed of it
    shows/{show}/erased/{recording}.json           studio          tombstone of a recording
    shows/{show}/transcripts/{recording}/{id}.json ingest (import), transcription    manifest, one per revision
    shows/{show}/transcripts/{recording}/head      ingest, transcription             pointer to the current revision
    shows/{show}/voiceprint.json                   transcription   pointer: the host's
    shows/{show}/voiceprints/{person}.json         transcription   pointer: a co-host's
    shows/{show}/repeats.json                      transcription   pointer: repeated spans when last looked for
    shows/{show}/classified/{cluster}.json         studio          pointer: what a person said a repeated span is
    shows/{show}/glossary.json                     studio          pointer
    shows/{show}/guests/{id}.json                  studio          pointer: what is known of a guest
    shows/{show}/datasets/{id}.json                trainer         manifest
    shows/{show}/runs/{n}.json                     trainer         claim of a run number by a job
    shows/{show}/checkpoints/{run}/{step}.json     trainer         manifest of a resumable checkpoint
    shows/{show}/adapters/{name}.json              trainer         manifest
    shows/{show}/episodes/{id}/commission.json     inference       what it is written from, until it is written
    shows/{show}/episodes/{id}/turns/{n}.json      inference       one turn, written once
    shows/{show}/episodes/{id}/episode.json        inference       manifest
    shows/{show}/episodes/{id}/questions.json      inference       manifest of a host's questions
    shows/{show}/episodes/{id}/spoken.json         inference       pointer: how each turn sounds, so far
    shows/{show}/episodes/{id}/audio.json          inference       pointer: the newest file to listen to
    shows/{show}/comparisons/{id}.json             studio          manifest: episodes of one brief
    shows/{show}/absences/{id}.json                studio          manifest of what is missing on purpose

Manifests are written last, once, with a conditional put: whoever reads one finds everything it names. Studio may write
and remove all of it: it erases, imports and collects. Each other service's credentials may be limited to what it does
here (`written_by`, `removed_by`, `read_by`; services/studio/machine/policies.py).
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import NamedTuple

from shared.errors import BadInputError

SERVICES = ("studio", "ingest", "transcription", "trainer", "inference")
STUDIO = "studio"  # what it may: everything. It erases, imports and collects what any service wrote


class _Place(NamedTuple):
    """Keys of one kind. In the pattern, a `*` inside stands for one name, the one at the end for any text.

    writers   services that put objects there; the first one is who makes what is missing
    removes   services that take away what lies there
    """

    pattern: str
    writers: tuple[str, ...]
    advice: str
    removes: tuple[str, ...] = ()


_INGEST, _TRANSCRIPTION, _TRAINER, _INFERENCE = (("ingest",), ("transcription",), ("trainer",), ("inference",))
_STUDIO, _ALL = (STUDIO,), SERVICES

_PLACES = (
    _Place("uploads/*", _STUDIO, "upload the file again with `diary recordings add`", (*_INGEST, *_TRANSCRIPTION)),
    _Place("imports/*", _STUDIO, "import the show again with `diary shows import`"),
    _Place("probes/*", _ALL, "start the service again", _ALL),
    _Place("blobs/*", _ALL, "its manifest is damaged: restore the store from its backup"),
    _Place("secrets/sources/*", _STUDIO, "give its address again with `diary sources add`"),
    _Place("shows/*/show.json", _STUDIO, "create the show with `diary shows create`"),
    _Place("shows/*/sources/*", _STUDIO, "add the source with `diary sources add`"),
    _Place("shows/*/refreshes/*", _INGEST, "refresh the source with `diary sources refresh`"),
    _Place("shows/*/items/*", _INGEST, "refresh the source with `diary sources refresh`"),
    _Place("shows/*/recordings/*", _INGEST, "add the recording with `diary recordings add`", _INGEST),
    _Place("shows/*/edits/*", _STUDIO, "nobody has changed this recording"),
    _Place("shows/*/erased/*", _STUDIO, "this recording was not erased", _INGEST),
    _Place("shows/*/transcripts/*", (*_TRANSCRIPTION, *_INGEST), "run `diary transcripts make`", _INGEST),
    _Place(
        "shows/*/voiceprint.json", _TRANSCRIPTION, "say who the host is with `diary transcripts host`", _TRANSCRIPTION
    ),
    _Place(
        "shows/*/voiceprints/*", _TRANSCRIPTION, "say who the co-host is with `diary transcripts role`", _TRANSCRIPTION
    ),
    _Place("shows/*/repeats.json", _TRANSCRIPTION, "look for them with `diary repeats find`"),
    _Place("shows/*/classified/*", _STUDIO, "classify it with `diary repeats classify`"),
    _Place("shows/*/glossary.json", _STUDIO, "add terms with `diary shows glossary`"),
    _Place("shows/*/guests/*", _STUDIO, "make the guest's fact sheet with `diary guests add`"),
    _Place("shows/*/datasets/*", _TRAINER, "build one with `diary datasets build`"),
    _Place("shows/*/runs/*", _TRAINER, "train one with `diary adapters train`"),
    _Place("shows/*/checkpoints/*", _TRAINER, "train one with `diary adapters train`", _TRAINER),
    _Place("shows/*/adapters/*", _TRAINER, "train one with `diary adapters train`"),
    _Place("shows/*/episodes/*/spoken.json", _INFERENCE, "speak it with `diary episodes render`"),
    _Place("shows/*/episodes/*/audio.json", _INFERENCE, "speak it with `diary episodes render`"),
    _Place("shows/*/episodes/*/commission.json", _INFERENCE, "write one with `diary episodes write`", _INFERENCE),
    _Place("shows/*/episodes/*", _INFERENCE, "write one with `diary episodes write`"),
    _Place("shows/*/comparisons/*", _STUDIO, "compare adapters with `diary episodes compare`"),
    _Place("shows/*/absences/*", _STUDIO, "nothing is missing on purpose"),
)
_ALL_READ = ("blobs/*", "probes/*", "shows/*")
_READ_BY = {"ingest": ("secrets/sources/*", "uploads/*"), "transcription": ("uploads/*",)}


def writer(key: str) -> str:
    """Name of the service that writes this key; `any` where all do."""
    place = _place(key)
    return "any" if place.writers == _ALL else place.writers[0]


def advice(key: str) -> str:
    """What a person does when nothing is stored at this key."""
    return _place(key).advice


def written_by(service: str) -> tuple[str, ...]:
    """Where a service may put objects, as patterns in which `*` stands for any text."""
    return ("*",) if service == STUDIO else tuple(at.pattern for at in _PLACES if service in at.writers)


def removed_by(service: str) -> tuple[str, ...]:
    """Where a service may remove objects, as patterns."""
    return ("*",) if service == STUDIO else tuple(at.pattern for at in _PLACES if service in at.removes)


def read_by(service: str) -> tuple[str, ...]:
    """What a service may read, as patterns: addresses of private feeds and uploads are not everybody's."""
    return ("*",) if service == STUDIO else (*_ALL_READ, *_READ_BY.get(service, ()))


def _place(key: str) -> _Place:
    for place in _PLACES:
        if _expression(place.pattern).match(key):
            return place
    raise ValueError(f"{key!r} is not a key of this product")


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    start, star, end = pattern.rpartition("*")
    if star and not end:
        return re.compile(re.escape(start).replace(r"\*", "[^/]+"))
    return re.compile(re.escape(pattern).replace(r"\*", "[^/]+") + "$")


_PART = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,160}$")


def _part(name: str) -> str:
    """A name as one part of a key: nothing in it may lead to another place."""
    if not _PART.fullmatch(name) or ".." in name:
        raise BadInputError(f"{name[:80]!r} is no name of ours: letters, digits, dot, dash and underscore")
    return name


_MANIFEST = (
    r"(show|voiceprint|glossary)\.json|(sources|refreshes|items|recordings|edits|erased)/P\.json|"
    r"(voiceprints|classified|guests)/P\.json|"
    r"transcripts/P/(P\.json|head)|datasets/P\.json|runs/\d+\.json|"
    r"checkpoints/\d+/\d{8}\.json|(adapters|comparisons)/P\.json|"
    r"episodes/P/((episode|questions|spoken|audio)\.json|turns/\d{5}\.json)"
).replace("P", r"[A-Za-z0-9][A-Za-z0-9._-]{0,160}")


def is_content_of(key: str, slug: str) -> bool:
    """Whether a key names a blob, or a manifest or pointer of this show, and nothing else."""
    if ".." in key or not _PART.fullmatch(slug):
        return False
    own = re.fullmatch(rf"shows/{re.escape(slug)}/({_MANIFEST})", key)
    return bool(own or re.fullmatch(r"blobs/[0-9a-f]{64}", key))


BLOBS = "blobs/"


def blob(sha256: str) -> str:
    return f"{BLOBS}{sha256}"


UPLOADS = "uploads/"


def upload(upload_id: str) -> str:
    return f"{UPLOADS}{_part(upload_id)}"


def upload_part(upload_key: str, offset: int) -> str:
    """The bytes from `offset` of an upload that came in several pieces; its facts lie in `upload_facts`."""
    return f"{upload_key}/{offset:016d}"


def upload_facts(upload_key: str) -> str:
    return f"{upload_key}/upload.json"


IMPORTS = "imports/"


def importing(import_id: str) -> str:
    return f"{IMPORTS}{_part(import_id)}.json"


PROBES = "probes/"


def probe(probe_id: str) -> str:
    return f"{PROBES}{probe_id}"


def show(slug: str) -> str:
    return f"shows/{_part(slug)}/show.json"


def sources(slug: str) -> str:
    return f"shows/{_part(slug)}/sources/"


def source(slug: str, source_id: str) -> str:
    return f"{sources(slug)}{_part(source_id)}.json"


SECRETS = "secrets/"


def source_secret(slug: str, source_id: str) -> str:
    return f"{SECRETS}sources/{_part(slug)}/{_part(source_id)}.json"


def refreshes(slug: str) -> str:
    return f"shows/{_part(slug)}/refreshes/"


def refresh(slug: str, source_id: str) -> str:
    return f"shows/{_part(slug)}/refreshes/{_part(source_id)}.json"


def items(slug: str) -> str:
    return f"shows/{_part(slug)}/items/"


def item(slug: str, item_id: str) -> str:
    return f"{items(slug)}{_part(item_id)}.json"


def item_id(identity: str) -> str:
    """Name of an item of a source, from what stays the same of it: a site's id, a feed's guid, a file's name."""
    return hashlib.sha256(identity.encode()).hexdigest()[:24]


def recordings(slug: str) -> str:
    return f"shows/{_part(slug)}/recordings/"


def recording(slug: str, recording_id: str) -> str:
    return f"{recordings(slug)}{_part(recording_id)}.json"


def all_edits(slug: str) -> str:
    return f"shows/{_part(slug)}/edits/"


def edits(slug: str, recording_id: str) -> str:
    return f"{all_edits(slug)}{_part(recording_id)}.json"


def tombstones(slug: str) -> str:
    return f"shows/{_part(slug)}/erased/"


def tombstone(slug: str, recording_id: str) -> str:
    return f"{tombstones(slug)}{_part(recording_id)}.json"


def transcripts(slug: str, recording_id: str | None = None) -> str:
    return (
        f"shows/{_part(slug)}/transcripts/{_part(recording_id)}/"
        if recording_id
        else f"shows/{_part(slug)}/transcripts/"
    )


def transcript(slug: str, recording_id: str, revision: str) -> str:
    return f"{transcripts(slug, recording_id)}{_part(revision)}.json"


def transcript_head(slug: str, recording_id: str) -> str:
    return f"{transcripts(slug, recording_id)}head"


def voiceprint(slug: str) -> str:
    return f"shows/{_part(slug)}/voiceprint.json"


def voiceprints(slug: str) -> str:
    return f"shows/{_part(slug)}/voiceprints/"


def co_host(slug: str, person: str) -> str:
    """The voiceprint of a co-host, by name: the same name in other spelling is the same person."""
    name = " ".join(person.lower().split())
    return f"{voiceprints(slug)}{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"


def repeats(slug: str) -> str:
    return f"shows/{_part(slug)}/repeats.json"


def classifications(slug: str) -> str:
    return f"shows/{_part(slug)}/classified/"


def classification(slug: str, cluster: str) -> str:
    return f"{classifications(slug)}{_part(cluster)}.json"


def glossary(slug: str) -> str:
    return f"shows/{_part(slug)}/glossary.json"


def guests(slug: str) -> str:
    return f"shows/{_part(slug)}/guests/"


def guest(slug: str, guest_id: str) -> str:
    return f"{guests(slug)}{_part(guest_id)}.json"


def datasets(slug: str) -> str:
    return f"shows/{_part(slug)}/datasets/"


def dataset(slug: str, dataset_id: str) -> str:
    return f"{datasets(slug)}{_part(dataset_id)}.json"


def run(slug: str, number: int) -> str:
    return f"shows/{_part(slug)}/runs/{number}.json"


def runs(slug: str) -> str:
    return f"shows/{_part(slug)}/runs/"


def checkpoints(slug: str, run_number: int) -> str:
    return f"shows/{_part(slug)}/checkpoints/{run_number}/"


def checkpoint(slug: str, run_number: int, step: int) -> str:
    return f"{checkpoints(slug, run_number)}{step:08d}.json"


def adapter_name(slug: str, run_number: int, step: int) -> str:
    """Name of the adapter that a run made at a step, such as `doac.r3.c240`."""
    return f"{slug}.r{run_number}.c{step}"


def adapters(slug: str) -> str:
    return f"shows/{_part(slug)}/adapters/"


def adapters_of_run(slug: str, run_number: int) -> str:
    """What the key of a run's adapter begins with, whichever of its steps was kept."""
    return f"{adapters(slug)}{adapter_name(slug, run_number, 0).removesuffix('0')}"


def adapter(slug: str, name: str) -> str:
    return f"{adapters(slug)}{_part(name)}.json"


def episodes(slug: str) -> str:
    return f"shows/{_part(slug)}/episodes/"


def episode(slug: str, episode_id: str) -> str:
    return f"{episodes(slug)}{_part(episode_id)}/episode.json"


def episode_spoken(slug: str, episode_id: str) -> str:
    return f"{episodes(slug)}{_part(episode_id)}/spoken.json"


def episode_audio(slug: str, episode_id: str) -> str:
    return f"{episodes(slug)}{_part(episode_id)}/audio.json"


def is_heard(key: str) -> bool:
    """Whether a key is one of the pointers to an episode's sound."""
    return "/episodes/" in key and key.endswith(("/spoken.json", "/audio.json"))


def commission(slug: str, episode_id: str) -> str:
    return f"{episodes(slug)}{_part(episode_id)}/commission.json"


def questions(slug: str, episode_id: str) -> str:
    return f"{episodes(slug)}{_part(episode_id)}/questions.json"


def episode_turns(slug: str, episode_id: str) -> str:
    return f"{episodes(slug)}{_part(episode_id)}/turns/"


def episode_turn(slug: str, episode_id: str, index: int) -> str:
    return f"{episode_turns(slug, episode_id)}{index:05d}.json"


def episode_id(job_id: str) -> str:
    """The episode of a writing job: it follows from the job's id, so a repeat finds the turns it wrote."""
    return "e" + hashlib.sha256(job_id.encode()).hexdigest()[:12]


def comparisons(slug: str) -> str:
    return f"shows/{_part(slug)}/comparisons/"


def comparison(slug: str, comparison_id: str) -> str:
    return f"{comparisons(slug)}{_part(comparison_id)}.json"


def comparison_id(job_id: str) -> str:
    """The comparison of a job: it follows from the job's id, so a repeat finds it."""
    return "c" + hashlib.sha256(job_id.encode()).hexdigest()[:12]


def absences(slug: str) -> str:
    return f"shows/{_part(slug)}/absences/"


def absence(slug: str, absence_id: str) -> str:
    return f"{absences(slug)}{_part(absence_id)}.json"
