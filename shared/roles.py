"""Who is host and who is guest in a published transcript, by name; and the transcript revision it becomes. Pure."""

from __future__ import annotations

from shared.schemas import HostMethod, Lineage, Recording, Role, Show, Speaker, Transcript, Turn
from shared.spoken import ANONYMOUS, Published


def build_transcript(
    published: Published, recording: Recording, show: Show, revision: str, lineage: Lineage
) -> Transcript:
    """The revision of kind `import`; the host is whoever has the name of the show's host, or unknown with a warning."""
    names = published.speakers
    roles, warnings = assign_roles(names, host=show.host, guest=recording.guest)
    labels = {name: f"S{number}" for number, name in enumerate(names, start=1)}
    host_known = Role.HOST in roles.values()
    return Transcript(
        id=revision,
        recording=recording.id,
        show=show.slug,
        kind="import",
        language=published.language or show.language,
        guest=recording.guest,
        duration_s=recording.duration_s,
        speakers=tuple(
            Speaker(label=labels[name], role=roles[name], name=_real(name), speech_s=_speech_s(published, name))
            for name in names
        ),
        host_method=HostMethod.NAMED if host_known else HostMethod.UNKNOWN,
        turns=tuple(
            Turn(
                speaker=labels[turn.speaker],
                role=roles[turn.speaker],
                start_s=turn.start_s,
                end_s=turn.end_s,
                text=turn.text,
                words=turn.timed,
            )
            for turn in published.turns
        ),
        engines={"times": published.times},
        warnings=(*published.warnings, *warnings),
        lineage=lineage,
    )


def assign_roles(names: tuple[str, ...], *, host: str, guest: str | None) -> tuple[dict[str, Role], list[str]]:
    """Roles by name. With two speakers the other one is the guest; with more, only who is named as guest.

    returns  name -> role, and warnings for people; all roles are unknown if nobody has the host's name
    """
    the_host = match_name(host, names)
    if the_host is None:
        found = ", ".join(names)
        return dict.fromkeys(names, Role.UNKNOWN), [
            f"the show's host {host!r} is no speaker of this transcript (speakers: {found}); say who is the host"
        ]
    others = tuple(name for name in names if name != the_host)
    the_guest = others[0] if len(others) == 1 else match_name(guest, others) if guest else None
    roles = dict.fromkeys(names, Role.OTHER) | {the_host: Role.HOST}
    if the_guest is not None:
        roles[the_guest] = Role.GUEST
    rest = [name for name in others if name != the_guest]
    if not rest:
        return roles, []
    return roles, [f"{len(names)} speakers; neither host nor guest: {', '.join(rest)}"]


def match_name(wanted: str, names: tuple[str, ...]) -> str | None:
    """The one name that is meant: the same but for case, else the only one that is a part of it or has it as a part."""
    parts = _parts(wanted)
    same = [name for name in names if _parts(name) == parts]
    if same:
        return same[0]
    alike = [name for name in names if set(_parts(name)) <= set(parts) or set(parts) <= set(_parts(name))]
    return alike[0] if len(alike) == 1 else None


def sole_guest(names: tuple[str, ...], host: str) -> str | None:
    """The guest's name where nobody gave it: the other one of two speakers."""
    the_host = match_name(host, names)
    others = [name for name in names if name != the_host]
    return others[0] if the_host is not None and len(others) == 1 else None


def _parts(name: str) -> list[str]:
    return name.casefold().replace(".", " ").replace(",", " ").split()


def _real(name: str) -> str | None:
    return None if ANONYMOUS.fullmatch(name) else name


def _speech_s(published: Published, name: str) -> float:
    return round(sum(turn.end_s - turn.start_s for turn in published.turns if turn.speaker == name), 3)
