"""`diary transcripts ...`: making them, saying who the host is, and taking them in and out as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape

from services.studio.commands.corrections import clock, place
from services.studio.commands.recordings import send
from services.studio.commands.terminal import Json, NoWait, Slug, carry_out, order, out, save, show_value, studio

FORMS = ("vtt", "srt", "rttm", "txt", "html", "csv", "json")
Language = Annotated[str | None, typer.Option(help="ISO 639 code such as en, or auto; the show's when left out.")]


def make(
    show: Slug,
    recording: Annotated[str | None, typer.Argument(help="All that have no transcript yet when left out.")] = None,
    speakers: Annotated[
        int | None, typer.Option(help="How many people talk; 0 finds out; the show's usual when left out.")
    ] = None,
    language: Language = None,
    host_is: Annotated[
        str | None, typer.Option(help="Who is the host: S1, S2, or a second at which they talk.")
    ] = None,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Transcribe a recording, or all that have no transcript, and work out who spoke."""
    asked = {"show": show, "speakers": speakers, "language": language}
    if recording is None:
        for name in without_transcript(show):
            order("/v1/transcripts", {**asked, "recording": name}, as_json=as_json, no_wait=no_wait)
        return
    if host_is is not None and no_wait:
        raise typer.BadParameter("--host-is needs the transcript first: leave out --no-wait")
    if host_is is not None:
        answer(host_is)  # a wrong one is said before the work
        carry_out("/v1/transcripts", {**asked, "recording": recording})
        host(show, recording, host_is, as_json=as_json)
        return
    made = carry_out("/v1/transcripts", {**asked, "recording": recording}, no_wait=no_wait)
    show_value(made, as_json)
    if not as_json and made.get("current") is False:
        out.print(
            f"people worked on the transcript that is current, so it stays; see what differs with `diary transcripts "
            f"diff {show} {recording} --after {made['transcript']}`, take the new one with `diary transcripts restore`"
        )


def without_transcript(show: str) -> list[str]:
    """Ids of a show's recordings that nobody has transcribed."""
    with studio() as client:
        recordings = [one for one in client.call("GET", f"/v1/shows/{show}/recordings").json() if one.get("working")]
        done = {one["recording"] for one in client.call("GET", f"/v1/shows/{show}/transcripts").json()}
    return [one["id"] for one in recordings if one["id"] not in done]


def host(
    show: Slug,
    recording: str,
    host_is: Annotated[
        str | None, typer.Option(help="S1, S2, or a second at which the host talks; asks which it is when left out.")
    ] = None,
    only_here: Annotated[
        bool, typer.Option("--only-here", help="Leave the show's other recordings as they are for now.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say who the host is; the voice is then recognised in all other recordings."""
    if host_is is None:
        clips(show, recording, as_json=as_json)
        return
    result = carry_out("/v1/hosts", {"show": show, "recording": recording, **answer(host_is)})
    show_value(result, as_json)
    if not only_here and knows_host(show):
        found = carry_out("/v1/recognitions", {"show": show})
        if not as_json:
            out.print(f"host known by voice in {len(found['recognised'])} recordings, not in {len(found['unknown'])}")


def clips(show: str, recording: str, *, as_json: bool) -> None:
    """Ask which is the host: where to listen to each speaker for a few seconds, and how to answer."""
    with studio() as client:
        found = client.call("GET", f"{place(show, recording)}/clips").json()
        address = client.url
    if as_json:
        show_value(found, as_json)
        return
    for one in found:
        known = f"{one['name'] or 'no name'}, {one['role']}"
        out.print(f"[bold]{one['speaker']}[/bold] ({escape(known)}, says {one['speech_s']:.0f} s)", highlight=False)
        out.print(f"  {clock(one['start_s'])} {escape(one['text'])}", highlight=False)
        if one["audio"]:
            out.print(f"  listen: {address}{one['audio']}", highlight=False)
    out.print(f"which is the host? answer with `diary transcripts host {show} {recording} --host-is S1`, or S2, ...")


def knows_host(show: str) -> bool:
    with studio() as client:
        known = client.call("GET", f"/v1/shows/{show}/voiceprints").json()
    return any(one["role"] == "host" for one in known)


def answer(host_is: str) -> dict[str, Any]:
    """`S2` is a speaker's label, `12.5` a second. raises BadParameter"""
    if host_is.startswith("S"):
        return {"speaker": host_is}
    try:
        return {"at_s": float(host_is)}
    except ValueError as error:
        raise typer.BadParameter(f"--host-is {host_is!r} is neither a speaker such as S1 nor a second") from error


def find_host(show: Slug, as_json: Json = False, no_wait: NoWait = False) -> None:
    """Find the host as the voice that is in all recordings."""
    order("/v1/hosts/found", {"show": show}, as_json=as_json, no_wait=no_wait)


def recognise(show: Slug, as_json: Json = False, no_wait: NoWait = False) -> None:
    """Recognise the hosts by voice in all recordings in which nobody said who they are."""
    order("/v1/recognitions", {"show": show}, as_json=as_json, no_wait=no_wait)


def voiceprints(
    show: Slug,
    remove: Annotated[str | None, typer.Option(help="Forget this voice: host, or a co-host's name.")] = None,
    as_json: Json = False,
) -> None:
    """Whose voice the show knows, and which recordings taught it."""
    at = f"/v1/shows/{show}/voiceprints"
    with studio() as client:
        if remove:
            client.call("DELETE", at if remove == "host" else f"{at}/{quote(remove, safe='')}")
        found = client.call("GET", at).json()
    show_value(found if as_json else [{**one, "recordings": ", ".join(one["recordings"])} for one in found], as_json)


def export(
    show: Slug,
    recording: str,
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMS)}; html is a clean read.")] = "vtt",
    to: Annotated[Path | None, typer.Option("--out", help="A file to write; stdout when left out.")] = None,
    revision: Annotated[str | None, typer.Option(help="Another revision than the current one.")] = None,
) -> None:
    """Write a transcript in a form that other programs read."""
    asked = {"format": form, **({"revision": revision} if revision else {})}
    with studio() as client:
        written = client.call("GET", f"{place(show, recording)}/export", params=asked).content
    save(written, to)


def import_file(
    show: Slug,
    recording: str,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="WebVTT, SRT, whisperX's JSON, or ours.")],
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Bring a transcript file for a recording; current unless people worked on the one that is."""
    with studio() as client:
        sent = send(client, file)
    request = {"show": show, "recording": recording, "upload_key": sent.upload_key, "filename": file.name}
    order("/v1/transcript-files", request, as_json=as_json, no_wait=no_wait)


def add_to(transcripts: typer.Typer) -> None:
    """Put the verbs into `diary transcripts`."""
    for verb in (make, host, recognise, voiceprints, export):
        transcripts.command(verb.__name__)(verb)
    transcripts.command("find-host")(find_host)
    transcripts.command("import")(import_file)
