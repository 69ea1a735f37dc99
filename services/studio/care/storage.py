"""How many bytes the store holds, by show and kind. What is left on its disk, no S3 server tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from services.studio.care.holdings import (
    UNREFERENCED,
    UPLOADS,
    Holdings,
    kind_of,
    kind_of_blob,
    show_of,
)
from shared import keys
from shared.schemas import Record


class KindUsage(Record):
    kind: str
    objects: int
    bytes: int


class ShowUsage(Record):
    """`bytes` counts a blob once that several kinds share."""

    show: str
    objects: int
    bytes: int
    kinds: tuple[KindUsage, ...]


class Usage(Record):
    """`bytes` counts a blob once that several shows share; `other` belongs to no show."""

    objects: int
    bytes: int
    shows: tuple[ShowUsage, ...]
    other: tuple[KindUsage, ...] = ()


def usage(holdings: Holdings, show: str | None = None) -> Usage:
    """What is stored of all shows, or of one."""
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for owner, kind, key in _owned(holdings):
        if show in (None, owner):
            places[owner, kind].add(key)
    shows = sorted({owner for owner, _ in places})
    held = [_show_usage(name, {kind: found for (owner, kind), found in places.items() if owner == name}, holdings)
            for name in shows]  # fmt: skip
    other = _of_no_show(holdings) if show is None else {}
    everything = set().union(*places.values(), *other.values())
    return Usage(
        objects=len(everything),
        bytes=_bytes(everything, holdings),
        shows=tuple(held),
        other=tuple(_kind_usage(kind, found, holdings) for kind, found in sorted(other.items())),
    )


def _owned(holdings: Holdings) -> Iterator[tuple[str, str, str]]:
    """Show, kind and key of everything that belongs to a show; a shared blob several times."""
    for key in holdings.objects:
        if (show := show_of(key)) is not None:
            yield show, kind_of(key), key
    for holder, named in holdings.named.items():
        if (show := show_of(holder)) is not None:
            for blob in named:
                if blob.key in holdings.objects:
                    yield show, kind_of_blob(holder, blob), blob.key


def _of_no_show(holdings: Holdings) -> dict[str, set[str]]:
    """Uploads, with what an import under way has brought; leftovers of probes; blobs that no manifest names."""
    found: dict[str, set[str]] = defaultdict(set)
    owned = {key for _, _, key in _owned(holdings)}
    arriving = {blob.key for holder, named in holdings.named.items() if show_of(holder) is None for blob in named}
    for key in holdings.objects.keys() - owned:
        blob_kind = UPLOADS if key in arriving else UNREFERENCED
        found[blob_kind if key.startswith(keys.BLOBS) else kind_of(key)].add(key)
    return found


def _show_usage(show: str, kinds: dict[str, set[str]], holdings: Holdings) -> ShowUsage:
    everything = set().union(*kinds.values())
    return ShowUsage(
        show=show,
        objects=len(everything),
        bytes=_bytes(everything, holdings),
        kinds=tuple(_kind_usage(kind, found, holdings) for kind, found in sorted(kinds.items())),
    )


def _kind_usage(kind: str, found: set[str], holdings: Holdings) -> KindUsage:
    return KindUsage(kind=kind, objects=len(found), bytes=_bytes(found, holdings))


def _bytes(found: Iterable[str], holdings: Holdings) -> int:
    return sum(holdings.objects[key].bytes for key in found)
