"""The records of an episode that can be heard: what is asked for, how each turn sounds, the file that is made of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shared.schemas import Blob, Chapter, Lineage, Record, Sha256, Slug

TurnIndex = Annotated[int, Field(ge=0)]


class RenderRequest(Record):
    """Speak an episode. What was spoken before is kept, but for `turns`, which are spoken anew; then all is joined."""

    show: Slug
    episode: str = Field(max_length=160)
    turns: tuple[TurnIndex, ...] | None = Field(
        default=None, max_length=5000, description="to be spoken again, as the episode counts them, from 0"
    )


class RenderResult(Record):
    """`spoken` is how many turns this job spoke; the others were there."""

    episode: str
    key: str
    duration_s: float
    bytes: int
    turns: int
    spoken: int
    chapters: int


class Sound(Record):
    """One turn, or the notice, as it was spoken.

    made_from_sha256   of all that decides how it sounds but the take: text, voice, the voice's recipe
    take               0, and one more each time that somebody had it spoken again
    job                that spoke it
    blob               24 kHz mono FLAC; none for a text without a sound, such as "..."
    """

    made_from_sha256: Sha256
    take: int = Field(default=0, ge=0)
    job: str
    duration_s: float = Field(ge=0)
    blob: Blob | None


class SpokenTurns(Record):
    """Every turn of an episode that was spoken so far, by its index; and the notice, as `notice`."""

    schema_version: Literal[1] = 1
    show: Slug
    episode: str
    sounds: dict[str, Sound] = Field(default={})


class SpokenSpan(Record):
    """Where a turn is in the file."""

    turn: int
    start_s: float
    end_s: float


class EpisodeAudio(Record):
    """The newest file of an episode, with its AI mark inside.

    made_from_sha256   of all that decides its bytes: equal means that there is nothing to do
    notice             what is said before anybody of the episode speaks
    voices             of host, guest and notice: stock voices, by name; nobody's own
    silent             turns whose text has no sound
    """

    schema_version: Literal[1] = 1
    show: Slug
    episode: str
    made_from_sha256: Sha256
    mp3: Blob
    duration_s: float
    notice: str
    chapters: tuple[Chapter, ...]
    turns: tuple[SpokenSpan, ...]
    silent: tuple[int, ...] = ()
    voices: dict[str, str]
    ai_generated: Literal[True] = True
    digital_source_type: str
    lineage: Lineage
