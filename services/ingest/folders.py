"""A folder of the operator as a source: every audio or video file below it is an item."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from services.ingest.catalogue import Catalogue, Item
from shared.errors import BadInputError

SETTLED_S = 60.0  # a file that changed since may still be on its way here
SUFFIXES = (
    *(".aac", ".aiff", ".amr", ".flac", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp3", ".mp4", ".mpeg", ".mpg"),
    *(".oga", ".ogg", ".opus", ".wav", ".webm", ".wma"),
)


def look(root: str, below: str, max_items: int) -> Catalogue:
    """The files of a folder, newest first; hidden ones and what leads out of it are left out.

    raises   BadInputError if there is no such folder below INGEST_FOLDER
    """
    top = _inside(root, below)
    if not top.is_dir():
        raise BadInputError(f"there is no folder {below!r} in INGEST_FOLDER; check its name, or mount it")
    files = []
    for place, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(place, name) for name in names if _is_wanted(Path(place, name))]
    named = [path for path in files if _can_be_written_down(path)]
    settled = [path for path in named if time.time() - path.stat().st_mtime >= SETTLED_S]
    if len(files) > max_items:
        raise BadInputError(f"{below!r} holds {len(files)} files, more than INGEST_MAX_ITEMS={max_items}; split it")
    items = sorted((_item(path, Path(root)) for path in settled), key=lambda item: item.identity, reverse=True)
    items.sort(key=lambda item: item.published_on or datetime.min.date(), reverse=True)
    left_out = (
        (len(files) - len(named), "whose name is not UTF-8; rename it to have it"),
        (len(named) - len(settled), "that changed within the last minute; refresh again"),
    )
    warnings = tuple(f"left out {count} {why}" for count, why in left_out if count)
    return Catalogue(kind="folder", title=below, items=tuple(items), warnings=warnings)


def path_of(root: str, item: Item) -> Path:
    """Where an item's file lies; it may have gone since we looked. raises BadInputError"""
    path = _inside(root, item.url)
    if not path.is_file():
        raise BadInputError("the file is not in the folder any more; refresh the source")
    return path


def _inside(root: str, below: str) -> Path:
    if not root:
        raise BadInputError("folders are not read here: the operator has to set INGEST_FOLDER")
    top = Path(root).resolve()
    path = (top / below).resolve()
    if not path.is_relative_to(top):
        raise BadInputError(f"{below!r} leads out of INGEST_FOLDER; name a folder inside it")
    return path


def _is_wanted(path: Path) -> bool:
    return (
        path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file() and not path.is_symlink()
    )


def _can_be_written_down(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _item(path: Path, root: Path) -> Item:
    facts = path.stat()
    name = str(path.relative_to(root.resolve()))
    return Item(
        identity=f"{name} {facts.st_size} {facts.st_mtime_ns}",
        url=name,
        title=path.stem.replace("_", " "),
        published_on=datetime.fromtimestamp(facts.st_mtime, UTC).date(),
        bytes=facts.st_size,
    )
