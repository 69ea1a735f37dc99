"""Export -> import: all of it, checked, or nothing that anybody can see."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from services.studio.care.archive import FIRST, header
from services.studio.care.holdings import survey
from services.studio.care.imports import ImportResult, bring_in
from services.studio.care.lineage import damage, recordings_behind, walk
from services.studio.care.retention import Rules, plan
from shared import keys
from shared.errors import BadInputError, ConflictError, NewerDataError, NoSpaceError, NotAllowedError
from shared.schemas import Show, now
from shared.store import point, put_blob
from tests.fakes import DyingStore, MemoryStore
from tests.studio.a_show import put_show
from tests.studio.test_exports import exported, members


@pytest.fixture
def source() -> MemoryStore:
    store = MemoryStore()
    put_show(store)
    return store


def bring(
    file: bytes, store: MemoryStore, work: Path, allow: Callable[[str], None] = lambda show: None
) -> ImportResult:
    return bring_in(io.BytesIO(file), store, work, "STUDIO_WORK_DIR", allow)


def packed(found: dict[str, bytes]) -> bytes:
    """A tar file of members as they are given, export.json first."""
    parts = []
    for name, data in found.items():
        parts += [header(name, len(data)), data, bytes(-len(data) % 512)]
    return b"".join(parts) + bytes(1024)


def test_what_is_exported_here_is_the_same_there_and_exported_again_the_same_file(source: MemoryStore, tmp_path: Path):
    there = MemoryStore()

    brought = bring(exported(source), there, tmp_path)

    assert there.objects == source.objects
    assert (brought.new, brought.known, brought.left_out) == (len(source.objects), 0, 0)
    assert exported(there) == exported(source)
    assert damage(walk(there, keys.episode("lamp", "e1"))) == []
    assert list(tmp_path.iterdir()) == []


def test_keys_too_long_for_one_header_come_through(tmp_path: Path):
    store, there = MemoryStore(), MemoryStore()
    show = "a-show-with-a-very-long-name-so-that-keys-do-not-fit-into-one"
    put_show(store, show)

    bring(exported(store, show=show), there, tmp_path)

    assert there.objects == store.objects


def test_the_same_file_again_changes_nothing_and_says_so(source: MemoryStore, tmp_path: Path):
    there = MemoryStore()
    bring(exported(source), there, tmp_path)
    before = dict(there.objects)

    again = bring(exported(source), there, tmp_path)

    assert again.new == 0 and again.known == len(source.objects) and there.objects == before


def test_after_a_text_import_the_walk_tells_left_out_from_lost(source: MemoryStore, tmp_path: Path):
    there = MemoryStore()

    brought = bring(exported(source, "text"), there, tmp_path)

    links = walk(there, keys.episode("lamp", "e1"))
    assert brought.left_out == 2 and damage(links) == []
    assert {link.state for link in links} == {"here", "left out"}
    assert len(recordings_behind(links)) == 2
    assert exported(there, "text") == exported(source, "text")
    assert bring(exported(there, "all"), MemoryStore(), tmp_path).left_out == 2


def test_the_audio_that_a_text_export_left_out_comes_with_a_whole_one(source: MemoryStore, tmp_path: Path):
    there = MemoryStore()
    bring(exported(source, "text"), there, tmp_path)

    bring(exported(source), there, tmp_path)

    assert {link.state for link in walk(there, keys.episode("lamp", "e1"))} == {"here"}
    assert exported(there) == exported(source)


def test_what_was_made_elsewhere_is_added_to_a_show_that_did_not_change(source: MemoryStore, tmp_path: Path):
    before_training = {
        key: data for key, data in source.objects.items() if "/adapters/" not in key and "/e1/" not in key
    }
    here = MemoryStore(before_training)

    brought = bring(exported(source, "text"), here, tmp_path)

    assert brought.new == 4 and here.objects == source.objects  # the adapter, two turns, the episode


def test_a_show_with_other_content_is_left_alone(source: MemoryStore, tmp_path: Path):
    here = MemoryStore()
    put_show(here)
    renamed = Show(slug="lamp", title="Another one", host="Mara Quill")
    point(here, keys.show("lamp"), renamed.model_dump_json().encode())
    before = dict(here.objects)

    with pytest.raises(ConflictError, match=r"other content: shows/lamp/\S+ differs.*Nothing was imported"):
        bring(exported(source), here, tmp_path)
    assert here.objects == before


def test_who_may_not_write_the_show_may_not_import_it(source: MemoryStore, tmp_path: Path):
    def allow(show: str) -> None:
        raise NotAllowedError(f"not {show}")

    there = MemoryStore()
    with pytest.raises(NotAllowedError, match="not lamp"):
        bring(exported(source), there, tmp_path, allow)
    assert there.objects == {}


def test_a_disk_without_room_is_named_before_anything_is_read(source: MemoryStore, tmp_path: Path):
    file, there = packed(entries_with(members(exported(source)), 0, bytes=10**18)), MemoryStore()

    with pytest.raises(NoSpaceError, match="STUDIO_WORK_DIR"):
        bring(file, there, tmp_path)
    assert there.objects == {}


# ---- files that are not right ---------------------------------------------------------------------------------------


def changed(found: dict[str, bytes], **fields) -> dict[str, bytes]:
    """With other fields in export.json."""
    return {**found, FIRST: json.dumps({**json.loads(found[FIRST]), **fields}).encode()}


def entries_with(found: dict[str, bytes], index: int, **fields) -> dict[str, bytes]:
    entries = json.loads(found[FIRST])["entries"]
    entries[index] = {**entries[index], **fields}
    return changed(found, entries=entries)


def last_of(found: dict[str, bytes], part: str) -> str:
    return [name for name in found if part in name][-1]


def flipped(found: dict[str, bytes], part: str) -> dict[str, bytes]:
    name = last_of(found, part)
    return {**found, name: bytes([found[name][0] ^ 1]) + found[name][1:]}


def listed_but_wrong(found: dict[str, bytes], part: str, data: bytes) -> dict[str, bytes]:
    """A manifest with other content, and with the checksum of it: made by somebody who knows the format."""
    import hashlib

    name = last_of(found, part)
    index = [entry["key"] for entry in json.loads(found[FIRST])["entries"]].index(name)
    fields = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {**entries_with(found, index, **fields), name: data}


def without(found: dict[str, bytes], part: str) -> dict[str, bytes]:
    return {name: data for name, data in found.items() if name != last_of(found, part)}


BAD = {
    "not a tar file": (lambda found: b"ID3 this is music" * 100, "no whole tar file"),
    "empty": (lambda found: b"", "no whole tar file"),
    "somebody else's tar file": (lambda found: packed({"readme.txt": b"hello"}), "does not begin with export.json"),
    "damaged list": (lambda found: packed({FIRST: b"{"}), "export.json in the file is damaged"),
    "list without a format": (lambda found: packed({FIRST: b"{}"}), "export.json in the file is damaged"),
    "a flipped bit in a blob": (lambda found: packed(flipped(found, "blobs/")), "damaged"),
    "a flipped bit in a manifest": (lambda found: packed(flipped(found, "episode.json")), "damaged"),
    "a member is missing": (lambda found: packed(without(found, "/adapters/")), "breaks off: 1 object"),
    "a member too many": (lambda found: packed({**found, "shows/lamp/extra.json": b"{}"}), "not as export.json lists"),
    "another size": (lambda found: packed({**found, last_of(found, "blobs/"): b"x"}), "not as export.json lists"),
    "cut in a blob": (lambda found: packed(found)[:9000], "no whole tar file|damaged or breaks off|breaks off"),
    "cut between members": (lambda found: packed(dict(list(found.items())[:5]))[:-1024], "breaks off"),
    "a path that leads elsewhere": (
        lambda found: packed(entries_with(found, 0, key="shows/lamp/../../etc/passwd")),
        "no key of the show",
    ),
    "an absolute path": (lambda found: packed(entries_with(found, 0, key="/etc/passwd")), "no key of the show"),
    "a key of another show": (
        lambda found: packed(entries_with(found, -1, key="shows/other/show.json")),
        "no key of the show",
    ),
    "a blob under a wrong name": (lambda found: packed(entries_with(found, 0, sha256="0" * 64)), "other content"),
    "a key twice": (
        lambda found: packed(changed(found, entries=json.loads(found[FIRST])["entries"][:1] * 2)),
        "twice, or no show.json",
    ),
    "no such episode": (lambda found: packed(listed_but_wrong(found, "episode.json", b"{}")), "not a valid Episode"),
    "a revision of nobody": (
        lambda found: packed(listed_but_wrong(found, "spoken/head", b"../../x")),
        "no name of ours",
    ),
    "a revision that is not in it": (
        lambda found: packed(listed_but_wrong(found, "spoken/head", b"rev9")),
        "points at a transcript that is not in the file",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_and_nothing_of_it_can_be_seen(source: MemoryStore, tmp_path: Path, name: str):
    make, explanation = BAD[name]
    there = MemoryStore()

    with pytest.raises(BadInputError, match=explanation):
        bring(make(members(exported(source))), there, tmp_path)

    assert there.list("shows/") == [] and there.list("imports/") == []
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE])
def test_links_and_devices_are_refused(source: MemoryStore, tmp_path: Path, kind: bytes):
    found = members(exported(source))
    link = tarfile.TarInfo(last_of(found, "blobs/"))
    link.type, link.linkname = kind, "/etc/passwd"
    file = packed({FIRST: found[FIRST]})[:-1024] + link.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    there = MemoryStore()

    with pytest.raises(BadInputError, match=r"no regular file|no whole tar file"):
        bring(file, there, tmp_path)
    assert there.list("shows/") == []


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        (lambda found: changed(found, format_version=2), "format 2.*upgrade"),
        (
            lambda found: listed_but_wrong(
                found,
                "datasets/",
                found[last_of(found, "datasets/")].replace(b'"schema_version":2', b'"schema_version":3'),
            ),
            "newer version.*upgrade",
        ),
    ],
)
def test_a_file_of_a_newer_version_asks_for_an_upgrade(source: MemoryStore, tmp_path: Path, change, explanation: str):
    there = MemoryStore()

    with pytest.raises(NewerDataError, match=explanation):
        bring(packed(change(members(exported(source)))), there, tmp_path)
    assert there.list("shows/") == []


# ---- interrupted imports --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", range(0, 26, 3))
def test_an_import_killed_anywhere_shows_no_show_or_all_of_it(source: MemoryStore, tmp_path: Path, changes: int):
    dying = DyingStore()
    dying.changes_left = changes

    with pytest.raises(KeyboardInterrupt):
        bring(exported(source), dying, tmp_path)
    dying.changes_left = 1000

    assert not dying.exists(keys.show("lamp")) or damage(walk(dying, keys.episode("lamp", "e1"))) == []
    bring(exported(source), dying, tmp_path)
    for marker in dying.list("imports/"):
        dying.delete(marker)
    assert dying.objects == source.objects


def test_the_collector_spares_what_an_import_under_way_has_brought(tmp_path: Path):
    store = MemoryStore()
    blob = put_blob(store, b"came hours ago", "application/octet-stream")
    entry = {"key": blob.key, "bytes": blob.bytes, "sha256": blob.sha256}
    store.create(keys.importing("i1"), json.dumps({"entries": [entry]}).encode())
    store.grow_old(hours=30)

    assert plan(store, survey(store), Rules(), now()) == []
