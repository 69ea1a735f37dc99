"""Going on with a download that broke off: only if it is certain that it is still the same file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.urls import path_of

NOTE = "download.of"


def mark_of(info: Mapping[str, Any], *, direct: bool, validator: str = "") -> str:
    """A name for the very bytes that are about to come; empty if nothing tells them from others.

    info        yt-dlp's, with the format it chose
    direct      whether this is a plain file: then `validator`, its ETag or date of change, names its version
    """
    size = info.get("filesize")
    if direct:
        told = ["file", path_of(str(info.get("url") or "")), validator, size] if validator else []
    elif size or str(info.get("protocol") or "").startswith("m3u8"):
        names = ("extractor_key", "id", "format_id", "filesize", "duration")
        told = ["site", *(info.get(name) for name in names)]
    else:
        told = []
    return hashlib.sha256(json.dumps(told).encode()).hexdigest() if told else ""


def keep_only(original: Path, mark: str) -> bool:
    """Drop what an earlier try left of anything else; say whether the whole file is there already.

    The note is written before the first byte comes, so that it never names bytes of another file.
    """
    note = original.with_name(NOTE)
    if not mark or not note.exists() or note.read_text() != mark:
        for old in original.parent.glob(f"{original.name}*"):
            old.unlink()
        note.write_text(mark)
    return original.exists()
