"""`python -m services.NAME.app models`: list what a service needs (revision, licence, size), then bring it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.engines import Watch
from shared.errors import DiaryError
from shared.models import named
from shared.progress import Pace
from shared.shelf import Shelf, Want


class Line:
    """The Watch of a person at a terminal: one line that grows, or a line per tenth where the output is kept."""

    trace_id = "0" * 32

    def __init__(self) -> None:
        self._pace = Pace()
        self._shown = ""
        self._tenth = -1

    def check(self) -> None:
        pass

    def progress(
        self,
        stage: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        note: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None:
        eta_s = self._pace.eta_s(stage, done, total, time.monotonic())
        amount = f" {done:.2f}/{total:.2f} {unit}" if total else ""
        left = f", {_minutes(eta_s)} left" if eta_s else ""
        text = f"{stage}{amount}{left}{f' ({note})' if note else ''}"
        tenth = int(10 * done / total) if total else -1
        if sys.stderr.isatty():
            print(f"\r{text:<{len(self._shown)}}", end="", file=sys.stderr, flush=True)
            self._shown = text
        elif stage != self._shown or tenth > self._tenth:
            print(text, file=sys.stderr, flush=True)
            self._shown, self._tenth = stage, tenth

    def end(self) -> None:
        if sys.stderr.isatty() and self._shown:
            print(file=sys.stderr)
        self._shown, self._tenth = "", -1


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def models_command(shelf: Shelf, arguments: Sequence[str]) -> int:
    """List what a service needs with revision, licence and size, then bring what is missing; 1 if that fails."""
    flags = argparse.ArgumentParser("models", description=models_command.__doc__)
    flags.add_argument("--json", action="store_true", help="print one JSON value on stdout")
    flags.add_argument("--list", action="store_true", help="bring nothing")
    wished = flags.parse_args(arguments)
    line, failed = Line(), False
    wants = [_known(want, line) for want in shelf.wants]
    line.end()
    if not wished.json:
        for want in wants:
            print(describe(want))
    for want in wants:
        if want.ours and not want.present() and not wished.list:
            try:
                want.bring(line)
            except DiaryError as error:
                line.end()
                print(f"error: {error}", file=sys.stderr)
                failed = True
            except KeyboardInterrupt:
                line.end()
                print("stopped; the next time it goes on from there", file=sys.stderr)
                return 130
            line.end()
    if wished.json:
        print(json.dumps([as_fields(want) for want in wants]))
    elif not wants:
        print("no models to fetch: those it uses are inside its environment")
    elif not wished.list:
        print("failed" if failed else f"{sum(want.present() for want in wants)} of {len(wants)} models are here")
    return 1 if failed else 0


def _known(want: Want, job: Watch) -> Want:
    """Size and licence of a model that is not in the catalogue are asked for, where that is possible."""
    if want.ask is None or want.model is None or want.model.size_bytes is not None or want.present():
        return want
    try:
        return replace(want, model=want.ask(job))
    except DiaryError:
        return want  # bringing it says the same, where it counts


def describe(want: Want) -> str:
    to_do = "to unpack" if want.doing == "unpacking" else "to fetch"
    here = "is here" if want.present() else to_do if want.ours else "the trainer brings it"
    if want.model is None:
        return f"{want.name}: {here}"
    size = "size unknown" if want.model.size_gb is None else f"{want.model.size_gb:.1f} GB"
    gate = f", conditions to accept at {want.model.gated}" if want.model.gated else ""
    return f"{want.model.label}: {want.model.purpose}, {size}, licence {want.model.licence}{gate}: {here}"


def as_fields(want: Want) -> dict[str, Any]:
    model = want.model
    return {
        "name": want.name,
        "revision": model.revision if model else (named(want.folder) or {}).get("revision"),
        "licence": model.licence if model else None,
        "size_bytes": model.size_bytes if model else None,
        "gated": model.gated if model else None,
        "present": want.present(),
        "folder": want.folder.name,
    }
