"""The tar file that a show travels in: its list, its headers, and what is refused of a file that claims to be one.

First `export.json`, then every object under its own key, in order. Nothing tells when, where or by whom it was made.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Literal, Self

from pydantic import Field, ValidationError

from shared import keys
from shared.errors import BadInputError, NewerDataError
from shared.schemas import Record, Sha256, Slug

FORMAT_VERSION = 1
MAX_LIST_BYTES = 256 * 1024**2
MAX_NAME_BYTES = 4096
READ_BYTES = 1024 * 1024
FIRST = "export.json"
TAR_BLOCK = 512
TAR_END = bytes(2 * TAR_BLOCK)

Only = Literal["all", "text"]


class Entry(Record):
    key: str
    bytes: int = Field(ge=0)
    sha256: Sha256


class Export(Record):
    """The first member of the file: what is in it, and what is not although manifests name it."""

    format_version: Literal[1] = 1
    made_by: str
    show: Slug
    only: Only
    entries: tuple[Entry, ...]
    left_out: tuple[Entry, ...]

    @property
    def manifests(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.key.startswith(keys.BLOBS)]

    @property
    def blobs(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.key.startswith(keys.BLOBS)]


# ---- writing ------------------------------------------------------------------------------------------------------


def tar_size(export: Export) -> int:
    """Bytes of the whole file."""
    first = len(export.model_dump_json().encode())
    members = [(FIRST, first), *((entry.key, entry.bytes) for entry in export.entries)]
    return sum(len(header(name, size)) + size + padding(size) for name, size in members) + len(TAR_END)


def header(name: str, size: int) -> bytes:
    """A member's header without anything that differs between two machines."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def padding(size: int) -> int:
    return -size % TAR_BLOCK


# ---- reading ------------------------------------------------------------------------------------------------------


def read_list(data: bytes) -> Export:
    """`export.json`; raises NewerDataError, or BadInputError for one that asks for what no export of ours holds"""
    try:
        version = json.loads(data)["format_version"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise NewerDataError(
                f"the export has format {version}, this version of the product reads up to {FORMAT_VERSION}; upgrade"
            )
        export = Export.model_validate_json(data)
    except (ValueError, KeyError, TypeError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise BadInputError(f"{FIRST} in the file is damaged ({why}); export the show again") from error
    listed = [entry.key for entry in (*export.entries, *export.left_out)]
    for key in listed:
        if not keys.is_content_of(key, export.show):
            raise BadInputError(
                f"the file holds {key[:200]!r}, which is no key of the show {export.show!r} here; it was not made by "
                "`diary shows export`, or by a newer version of it"
            )
    if len(set(listed)) != len(listed) or keys.show(export.show) not in [entry.key for entry in export.manifests]:
        raise BadInputError(f"{FIRST} names a key twice, or no show.json; export the show again")
    if wrong := [entry.key for entry in export.blobs if entry.key != keys.blob(entry.sha256)]:
        raise BadInputError(f"{FIRST} gives {wrong[0]} the checksum of other content; export the show again")
    return export


class PlainMember(tarfile.TarInfo):
    """A member that is a regular file, or the long name of one: no links, no devices, no sparse files."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        long_name = member.type == tarfile.GNUTYPE_LONGNAME and member.size <= MAX_NAME_BYTES
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) and not long_name:
            raise BadInputError(
                f"the file holds {member.name[:200]!r}, which is no regular file; it was not made by "
                "`diary shows export`"
            )
        return member


def list_in(path: Path) -> bytes:
    """`export.json` of a file on this machine."""
    with path.open("rb") as file, opened(file) as tar:
        return first_member(tar)


@contextmanager
def opened(stream: BinaryIO) -> Iterator[tarfile.TarFile]:
    """The tar file as a stream; what is wrong with it is told as bad input."""
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=READ_BYTES, tarinfo=PlainMember) as tar:
            yield tar
    except tarfile.TarError as error:
        raise BadInputError(
            f"the file is no whole tar file ({error}); copy it again, or export the show again"
        ) from error


def first_member(tar: tarfile.TarFile) -> bytes:
    member = tar.next()
    if member is None or member.name != FIRST:
        raise BadInputError(f"the file does not begin with {FIRST}: it was not made by `diary shows export`")
    if member.size > MAX_LIST_BYTES:
        raise BadInputError(f"{FIRST} in the file is larger than {MAX_LIST_BYTES // 1024**2} MiB; that is no export")
    return content(tar, member).read()


def content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member)
    assert found is not None  # members are regular files: see PlainMember
    return found
