"""`diary transcripts ...`: reading and correcting transcripts, their history, and orders over all of a show's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Table

from services.studio.commands.terminal import Json, Slug, carry_out, errors, get, order, out, show_value, studio
from shared.client import ServiceClient
from shared.errors import ConflictError

Recording = Annotated[str, typer.Argument(help="The recording's id.")]
To = Annotated[str, typer.Option(help="A speaker's label such as S2, or new.")]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]
Base = Annotated[str | None, typer.Option(help="The revision that you see; the current one when left out.")]
TurnId = Annotated[str, typer.Argument(help="A turn such as t12, as `diary transcripts read` shows it.")]
Turns = Annotated[list[str], typer.Argument(help="Turns such as t12 t13.")]
Start = Annotated[float, typer.Argument(help="From this second on.")]
End = Annotated[float, typer.Argument(help="Up to this second.")]


def place(show: str, recording: str) -> str:
    return f"/v1/shows/{quote(show)}/transcripts/{quote(recording)}"


def correct(
    show: str, recording: str, edits: Sequence[dict[str, Any]], *, reason: str, base: str | None, as_json: bool
) -> None:
    """Make edits of what is current, and say what changed and what is left."""
    with studio() as client:
        result = _sent(client, show, recording, {"base": base, "edits": list(edits), "reason": reason})
    if as_json:
        show_value(result, as_json)
        return
    out.print(f"{escape(result['summary'])}; revision {result['transcript']}, {result['state']}", highlight=False)
    if result["follow_up"]:
        out.print("exact word times and the host's voice follow by themselves", highlight=False)
    left = result["needs_review"]
    out.print(f"{left} doubtful turns left here; take this back with `diary transcripts undo {show} {recording}`")


def _sent(client: ServiceClient, show: str, recording: str, body: dict[str, Any]) -> dict[str, Any]:
    if body["base"] is None:
        body = {**body, "base": client.call("GET", place(show, recording)).json()["id"]}
    try:
        sent: dict[str, Any] = client.call("POST", f"{place(show, recording)}/corrections", json=body).json()
    except ConflictError as error:
        for change in error.changes:
            errors.print(f"  {escape(change['by'])}, {change['at'][:16]}: {escape(change['summary'])}", highlight=False)
        raise
    return sent


# ---- looking ---------------------------------------------------------------------------------------------------------


def review(
    show: Slug,
    recording: Annotated[str | None, typer.Option(help="Of this recording alone.")] = None,
    limit: Annotated[int, typer.Option(help="So many turns at most.")] = 20,
    as_json: Json = False,
) -> None:
    """The review queue: turns that the system itself doubts, worst first."""
    asked = {"limit": limit, **({"recording": recording} if recording else {})}
    with studio() as client:
        queue = client.call("GET", f"/v1/shows/{show}/review", params=asked).json()
    if as_json:
        show_value(queue, as_json)
        return
    if not queue["turns"]:
        out.print("nothing is doubtful; approve with `diary transcripts approve`")
        return
    table = Table("recording", "turn", "at", "speaker", "why", "text")
    for item in queue["items"]:
        who = f"{item['speaker']} {item['name'] or item['role']}"
        why, text = "; ".join(item["reasons"]), item["text"][:80]
        table.add_row(*map(escape, (item["recording"], item["turn"], clock(item["start_s"]), who, why, text)))
    out.print(table)
    out.print(f"{queue['turns']} doubtful turns in {len(queue['recordings'])} recordings, ")
    out.print(f"about {queue['minutes_left']:g} minutes; settle right ones with `diary transcripts settle`")


def read(show: Slug, recording: Recording, as_json: Json = False) -> None:
    """Print a transcript: turns with their names, times, and what is doubtful about them."""
    with studio() as client:
        found = client.call("GET", place(show, recording)).json()
    if as_json:
        show_value(found, as_json)
        return
    names = {speaker["label"]: speaker["name"] or speaker["role"] for speaker in found["speakers"]}
    out.print(f"{found['id']}, {found['state']}, {found['language']}, host: {found['host_method']}", highlight=False)
    for warning in found["warnings"]:
        out.print(f"[yellow]look[/yellow] {escape(warning)}", highlight=False)
    for turn in found["turns"]:
        doubt = f" [yellow]({escape('; '.join(turn['review_reasons']))})[/yellow]" if turn["needs_review"] else ""
        who = escape(f"{turn['speaker']} {names[turn['speaker']]}")
        out.print(f"[bold]{turn['id']}[/bold] {clock(turn['start_s'])} {who}:{doubt} {escape(turn['text'])}")


def clock(seconds: float) -> str:
    """`1:02:03`"""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def history(show: Slug, recording: Recording, as_json: Json = False) -> None:
    """Print all revisions, newest first."""
    columns = ("id", "current", "summary", "reason", "by", "at", "state", "batch")
    get(f"{place(show, recording)}/history", as_json, lambda one: {name: one[name] for name in columns})


def diff(
    show: Slug,
    recording: Recording,
    before: Annotated[str | None, typer.Option(help="A revision; the current one's parent when left out.")] = None,
    after: Annotated[str | None, typer.Option(help="A revision; the current one when left out.")] = None,
    as_json: Json = False,
) -> None:
    """Print what one revision says, or attributes, differently from another."""
    with studio() as client:
        current = client.call("GET", place(show, recording)).json()
        asked = {"before": before or current["parent"] or current["id"], "after": after or current["id"]}
        found = client.call("GET", f"{place(show, recording)}/comparison", params=asked).json()
    if as_json:
        show_value(found, as_json)
        return
    for one in found["differences"]:
        out.print(f"[bold]{clock(one['start_s'])}[/bold]")
        for sign, colour, lines in (("-", "red", one["before"]), ("+", "green", one["after"])):
            for line in lines:
                out.print(f"  [{colour}]{sign} {escape(line)}[/{colour}]", highlight=False)
    out.print(f"{found['words_changed']} words differ, {found['words_moved']} changed their speaker")


# ---- one transcript --------------------------------------------------------------------------------------------------


def reassign(
    show: Slug,
    recording: Recording,
    turns: Turns,
    to: To,
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Give turns to another speaker."""
    edit = {"kind": "reassign", "turns": turns, "to": to}
    correct(show, recording, [edit], reason=reason, base=base, as_json=as_json)


def reassign_range(
    show: Slug,
    recording: Recording,
    start_s: Start,
    end_s: End,
    to: To,
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Give what is said between two seconds to another speaker; turns are cut at the edges."""
    edit = {"kind": "reassign-range", "start_s": start_s, "end_s": end_s, "to": to}
    correct(show, recording, [edit], reason=reason, base=base, as_json=as_json)


def split(
    show: Slug,
    recording: Recording,
    turn: TurnId,
    before_word: Annotated[int, typer.Option(help="Its first word is 0.")],
    to: Annotated[str | None, typer.Option(help="Who says the second half.")] = None,
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Cut a turn in two before a word."""
    edit = {"kind": "split", "turn": turn, "before_word": before_word, "to": to}
    correct(show, recording, [edit], reason=reason, base=base, as_json=as_json)


def join(
    show: Slug, recording: Recording, turn: TurnId, reason: Reason = "", base: Base = None, as_json: Json = False
) -> None:
    """Make a turn and the one before it one turn."""
    correct(show, recording, [{"kind": "join", "turn": turn}], reason=reason, base=base, as_json=as_json)


def merge(
    show: Slug,
    recording: Recording,
    speaker: Annotated[str, typer.Argument(help="The one who is somebody else, such as S3.")],
    into: Annotated[str, typer.Option(help="Who it is, such as S1.")],
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Say that two voices are one person."""
    edit = {"kind": "merge-speakers", "speaker": speaker, "into": into}
    correct(show, recording, [edit], reason=reason, base=base, as_json=as_json)


def rename(
    show: Slug,
    recording: Recording,
    speaker: Annotated[str, typer.Argument(help="A label such as S2.")],
    name: Annotated[str, typer.Argument(help="What they are called.")],
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="In all recordings in which somebody has the name they have here.")
    ] = False,
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Name a speaker, here or in all recordings."""
    if not everywhere:
        edit = {"kind": "rename", "speaker": speaker, "name": name}
        correct(show, recording, [edit], reason=reason, base=base, as_json=as_json)
        return
    with studio() as client:
        found = client.call("GET", place(show, recording)).json()
    known = {one["label"]: one["name"] for one in found["speakers"]}
    if not known.get(speaker):
        raise typer.BadParameter(f"{speaker} has no name here yet: name them here first, without --everywhere")
    order("/v1/renamings", {"show": show, "name": known[speaker], "to": name, "reason": reason}, as_json=as_json)


def role(
    show: Slug,
    recording: Recording,
    speaker: Annotated[str, typer.Argument(help="A label such as S2.")],
    what: Annotated[str, typer.Argument(help="host, co-host, guest, other or unknown.")],
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Say what a speaker is. The voices of hosts, and of co-hosts with a name, are learnt."""
    edit = {"kind": "role", "speaker": speaker, "role": what}
    correct(show, recording, [edit], reason=reason, base=base, as_json=as_json)


def edit(
    show: Slug,
    recording: Recording,
    turn: TurnId,
    text: Annotated[str, typer.Argument(help="All that is said in the turn.")],
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Correct the words of a turn; their times follow."""
    correct(show, recording, [{"kind": "text", "turn": turn, "text": text}], reason=reason, base=base, as_json=as_json)


def exclude(
    show: Slug,
    recording: Recording,
    start_s: Start,
    end_s: End,
    what: Annotated[str, typer.Option(help="trailer, intro, advert, outro or other.")] = "other",
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Leave a span out of training, here; wherever it is repeated: `diary repeats classify`."""
    edit = {"kind": "exclude", "start_s": start_s, "end_s": end_s, "reason": what, "detail": reason}
    correct(show, recording, [edit], reason=reason, base=base, as_json=as_json)


def include(
    show: Slug,
    recording: Recording,
    start_s: Start,
    end_s: End,
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Take back in what `exclude` left out."""
    edit = {"kind": "include", "start_s": start_s, "end_s": end_s}
    correct(show, recording, [edit], reason=reason, base=base, as_json=as_json)


def settle(
    show: Slug, recording: Recording, turns: Turns, reason: Reason = "", base: Base = None, as_json: Json = False
) -> None:
    """Say that doubtful turns are right as they are."""
    correct(show, recording, [{"kind": "settle", "turns": turns}], reason=reason, base=base, as_json=as_json)


def approve(
    show: Slug,
    recording: Recording,
    state: Annotated[str, typer.Option(help="approved, reviewed, or machine to take either back.")] = "approved",
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Answer for a transcript: it is never replaced by another transcription."""
    correct(show, recording, [{"kind": "judge", "state": state}], reason=reason, base=base, as_json=as_json)


def undo(show: Slug, recording: Recording, reason: Reason = "", base: Base = None, as_json: Json = False) -> None:
    """Take back the last change of a person; again: the one before it."""
    correct(show, recording, [{"kind": "undo"}], reason=reason, base=base, as_json=as_json)


def restore(
    show: Slug,
    recording: Recording,
    revision: Annotated[str, typer.Argument(help="As `diary transcripts history` names it.")],
    reason: Reason = "",
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Have another revision's content: an earlier one, a new transcription, a published transcript."""
    edit = {"kind": "restore", "revision": revision}
    correct(show, recording, [edit], reason=reason, base=base, as_json=as_json)


# ---- all transcripts of a show ---------------------------------------------------------------------------------------


def replace(
    show: Slug,
    find: Annotated[str, typer.Argument(help="Words as they are read.")],
    by: Annotated[str, typer.Argument(help="What they should be.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this the places are only listed.")] = False,
    match_case: Annotated[bool, typer.Option("--match-case")] = False,
    recording: Annotated[list[str] | None, typer.Option(help="Only in this one; repeatable.")] = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Find and replace in all transcripts of a show; one revision each, undone together."""
    request = {"show": show, "find": find, "replace": by, "match_case": match_case, "reason": reason}
    found = carry_out("/v1/replacements", {**request, "recordings": recording or [], "dry_run": not yes})
    if as_json:
        show_value(found, as_json)
        return
    for one in found["places"]:
        out.print(f"[bold]{escape(one['recording'])} {one['turn']} {clock(one['start_s'])}[/bold]", highlight=False)
        out.print(f"  [red]- {escape(one['before'])}[/red]\n  [green]+ {escape(one['after'])}[/green]", highlight=False)
    out.print(f"{found['found']} turns in {found['recordings']} recordings")
    for name in found["conflicts"]:
        out.print(
            f"[yellow]look[/yellow] somebody changed {escape(name)} meanwhile: it was left alone", highlight=False
        )
    if found["batch"]:
        out.print(f"take it back with `diary transcripts undo-batch {show} {found['batch']}`")
    elif found["found"]:
        out.print("nothing was changed; say --yes to do it")


def undo_batch(
    show: Slug,
    batch: Annotated[str, typer.Argument(help="As `diary transcripts replace` or `history` names it.")],
    as_json: Json = False,
) -> None:
    """Take back one order over several recordings."""
    order("/v1/undone-batches", {"show": show, "batch": batch}, as_json=as_json)


def add_to(transcripts: typer.Typer) -> None:
    """Put the verbs into `diary transcripts`."""
    verbs = (review, read, history, diff, reassign, split, join, merge, rename, role, edit, exclude, include, settle)
    for verb in (*verbs, approve, undo, restore, replace):
        transcripts.command(verb.__name__)(verb)
    transcripts.command("range")(reassign_range)
    transcripts.command("undo-batch")(undo_batch)
