"""Where a page finds what it plays."""

from __future__ import annotations

from urllib.parse import quote

from shared.schemas import Recording


def audio_address(recording: Recording) -> str | None:
    """Studio's path of a recording's sound, the small copy for browsers if there is one; None if it has no audio."""
    if recording.working is None:
        return None
    place = f"/v1/shows/{quote(recording.show)}/recordings/{quote(recording.id)}/audio"
    return place if recording.web else f"{place}?rendition=original"
