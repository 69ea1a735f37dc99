"""`diary recordings add` and `edit`: files, folders, addresses, and one file per speaker."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.markup import escape

from services.studio.commands.sending import SMALL_BYTES, Sender, Sent
from services.studio.commands.storage import bar
from services.studio.commands.terminal import (
    Json,
    NoWait,
    Slug,
    carry_out,
    errors,
    out,
    show_value,
    state_folder,
    studio,
)
from shared import keys
from shared.client import ServiceClient
from shared.errors import DiaryError, NotFoundError
from shared.store import file_sha256

ID_DIGITS = 16  # of a file's sha256: the id of its recording
SOUND = re.compile(
    r"\.(aac|ac3|aifc?|aiff|amr|caf|flac|m4a|m4b|mka|mp2|mp3|oga|ogg|opus|wav|wma|wv|"
    r"3gp|avi|flv|m4v|mkv|mov|mp4|mpe?g|mts|ogv|ts|webm|wmv)",
    re.I,
)
_TRACK = re.compile(r"(?P<host>host:)?(?P<speaker>[^=]+)=(?P<file>.+?)(?:@(?P<offset>\d+(?:\.\d+)?))?$")


class TrackFile(NamedTuple):
    """One speaker's file as the command line names it."""

    speaker: str
    role: str | None
    path: Path
    offset_s: float


# ---- what is named on the command line -----------------------------------------------------------------------------


def files_in(folder: Path) -> list[Path]:
    """All audio and video files below a folder, sorted; hidden ones are not meant."""
    found = (path for path in folder.rglob("*") if SOUND.fullmatch(path.suffix) and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def expanded(sources: Sequence[str]) -> list[str]:
    """Folders become the files in them. raises BadParameter for what is neither URL, file nor folder here"""
    found: list[str] = []
    for source in sources:
        path = Path(source)
        if _is_url(source) or path.is_file():
            found.append(source)
        elif path.is_dir():
            inside = files_in(path)
            if not inside:
                raise typer.BadParameter(f"{source} holds no audio or video files")
            found += map(str, inside)
        else:
            raise typer.BadParameter(f"{source} is neither a URL nor a file here")
    return found


def track_file(text: str) -> TrackFile:
    """From `host:Mara Quill=mara.wav@12.5`. An @ that belongs to the file's name is found to be one."""
    found = _TRACK.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"--track {text!r} must be NAME=FILE or NAME=FILE@SECONDS, host:NAME=FILE for the host"
        )
    path, offset_s = Path(found["file"]), float(found["offset"] or 0)
    if found["offset"] and Path(f"{found['file']}@{found['offset']}").is_file():
        path, offset_s = Path(f"{found['file']}@{found['offset']}"), 0.0
    if not path.is_file():
        raise typer.BadParameter(f"--track: there is no file {path}")
    return TrackFile(found["speaker"].strip(), "host" if found["host"] else None, path, offset_s)


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


# ---- sending and asking --------------------------------------------------------------------------------------------


def send(client: ServiceClient, path: Path) -> Sent:
    """Send a file, with a bar if that takes a while."""
    sender = Sender(client, state_folder() / "uploads")
    if path.stat().st_size <= SMALL_BYTES:
        return sender.send(path)
    with bar(f"sending {path.name}") as tell:
        tell.expect(path.stat().st_size)
        return sender.send(path, tell.reach)


def as_source(client: ServiceClient, source: str) -> dict[str, Any]:
    """A URL as it is, a file sent first."""
    if _is_url(source):
        return {"url": source}
    [file] = expanded([source])
    return {"upload_key": send(client, Path(file)).upload_key, "filename": Path(file).name}


def known_recording(client: ServiceClient, show: str, path: Path) -> dict[str, Any] | None:
    """The result of adding a file whose recording is here and whole, so that it need not be sent."""
    name = file_sha256(path)[:ID_DIGITS]
    place = f"/v1/shows/{show}/recordings/{name}"
    try:
        recording = client.call("GET", place).json()
        if recording["working"]:  # collected, or left out of an export: sending it again brings it back
            for rendition in ("original", "working"):
                client.call("HEAD", f"{place}/audio?rendition={rendition}")
    except NotFoundError:
        return None
    has_audio = recording["working"] is not None
    return {"recording": name, "key": keys.recording(show, name), "new": False, "has_audio": has_audio}


def add_one(show: str, source: str, facts: dict[str, Any], *, no_wait: bool) -> dict[str, Any]:
    """The result of the job, or with `no_wait` the job."""
    if _is_url(source):
        return _ask({"show": show, **facts, "url": source}, [], no_wait=no_wait)
    path = Path(source)
    with studio() as client:
        if known := known_recording(client, show, path):
            return known
        sent = send(client, path)
    request = {"show": show, **facts, "upload_key": sent.upload_key, "filename": path.name}
    return _ask(request, [sent], no_wait=no_wait)


def add_tracks(show: str, tracks: Sequence[TrackFile], facts: dict[str, Any], *, no_wait: bool) -> dict[str, Any]:
    """One recording of several files."""
    with studio() as client:
        sent = [send(client, track.path) for track in tracks]
    named = [
        {
            "upload_key": one.upload_key,
            "filename": track.path.name,
            "speaker": track.speaker,
            "role": track.role,
            "offset_s": track.offset_s,
        }
        for one, track in zip(sent, tracks, strict=True)
    ]
    return _ask({"show": show, **facts, "tracks": named}, sent, no_wait=no_wait)


def _ask(request: dict[str, Any], sent: Sequence[Sent], *, no_wait: bool) -> dict[str, Any]:
    """The notes of what was sent go once the job has it; without a job, the same files given again need no sending."""
    result = carry_out("/v1/recordings", request, no_wait=no_wait)
    for one in sent:
        one.taken()
    return result


# ---- the commands --------------------------------------------------------------------------------------------------


def add_recordings(
    show: Slug,
    sources: Annotated[list[str] | None, typer.Argument(help="Files, folders or URLs.")] = None,
    title: Annotated[str | None, typer.Option()] = None,
    guest: Annotated[str | None, typer.Option()] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(help="One speaker's file of one recording: NAME=FILE[@SECONDS], host:NAME=FILE for the host."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Bring it although it was erased.")] = False,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Add audio, video or published transcripts; the same content twice is one recording.

    A large file whose sending broke off goes on where it was when it is given again.
    """
    facts = {"title": title, "guest": guest, "again": again or None}
    if track:
        if sources:
            raise typer.BadParameter("give either --track, for one recording, or files, folders and URLs")
        show_value(add_tracks(show, _checked([track_file(text) for text in track]), facts, no_wait=no_wait), as_json)
        return
    if not sources:
        raise typer.BadParameter("name what to add: files, folders, URLs, or --track")
    found = expanded(sources)
    if len(found) == 1 and sources == found:
        show_value(add_one(show, found[0], facts, no_wait=no_wait), as_json)
    elif title:
        raise typer.BadParameter("--title is for one recording; leave it out for several")
    else:
        _add_all(show, found, facts, as_json=as_json, no_wait=no_wait)


def _checked(tracks: list[TrackFile]) -> list[TrackFile]:
    if len(tracks) < 2:
        raise typer.BadParameter("--track is for one file per speaker: give at least two, or add the file alone")
    if sum(track.role == "host" for track in tracks) > 1:
        raise typer.BadParameter("only one --track can be the host's")
    return tracks


def _add_all(show: str, found: Sequence[str], facts: dict[str, Any], *, as_json: bool, no_wait: bool) -> None:
    """One after the other; the failure of one never stops the rest."""
    done: list[dict[str, Any]] = []
    for number, source in enumerate(found, 1):
        try:
            result = add_one(show, source, facts, no_wait=no_wait)
        except DiaryError as error:
            result = {"failed": str(error)}
        done.append({"source": source, **result})
        if not as_json:
            out.print(
                f"{number}/{len(found)} {source}: {_in_words(result)}", highlight=False, soft_wrap=True, markup=False
            )
    if as_json:
        print(json.dumps(done))
    if failed := [one for one in done if "failed" in one]:
        errors.print(
            f"{len(failed)} of {len(found)} failed; the others are here. Give all again: what is here is known"
        )
        raise typer.Exit(1)


def _in_words(result: dict[str, Any]) -> str:
    if "failed" in result:
        return f"failed: {result['failed']}"
    if "recording" not in result:
        return f"job {result['id']} is {result['state']}"
    return f"{result['recording']} {'is new' if result['new'] else 'was here already'}"


def edit_recording(
    show: Slug,
    recording: Annotated[str, typer.Argument(help="Its id, as `diary recordings list` shows it.")],
    title: Annotated[str | None, typer.Option()] = None,
    guest: Annotated[str | None, typer.Option()] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option(help="What is true of the guest, one sentence; repeatable; instead of those set before."),
    ] = None,
    no_facts: Annotated[bool, typer.Option("--no-facts", help="Forget the facts set before.")] = False,
    as_json: Json = False,
) -> None:
    """Correct the title or the guest, or tell facts of the guest; what was found when it came stays on record."""
    if fact and no_facts:
        raise typer.BadParameter("give either --fact or --no-facts")
    facts = [] if no_facts else fact or None
    given = {"title": title, "guest": guest, "facts": facts}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("say what to change: --title, --guest, --fact, --no-facts")
    place = f"/v1/shows/{show}/recordings/{recording}"
    with studio() as client:
        edited = client.call("PATCH", place, json=changes).json()
        told = client.call("GET", f"{place}/facts").json()
    show_value(edited, as_json)
    if not as_json:
        out.print(f"[bold]facts[/bold]: {escape('; '.join(told)) or 'none'}", highlight=False)


def add_to(recordings: typer.Typer) -> None:
    """Put these commands where people look for them."""
    recordings.command("add")(add_recordings)
    recordings.command("edit")(edit_recording)


def as_row(recording: dict[str, Any]) -> dict[str, str]:
    """What a person sees of a recording in a list; a guest that was guessed is marked so."""
    guess, left_out = (
        recording["guest_guess"],
        sum(span["end_s"] - span["start_s"] for span in recording["excluded_spans"]),
    )
    is_guess = guess is not None and guess["name"] == recording["guest"]
    return {
        "id": recording["id"],
        "title": recording["title"][:60],
        "guest": (recording["guest"] or "") + (" ?" if is_guess else ""),
        "published": recording["published_on"] or "",
        "minutes": f"{recording['duration_s'] / 60:.0f}" if recording["duration_s"] is not None else "",
        "left out": f"{left_out:.0f} s" if left_out else "",
        "audio": "yes" if recording["working"] else "no",
    }
