"""How values are printed: whatever a title, a guest or a message holds."""

from __future__ import annotations

import pytest
import typer

from services.studio.commands.sources import _say_preview, _say_refresh
from services.studio.commands.terminal import bar_fields, show_value
from services.studio.commands.transcripts import answer
from shared.schemas import Job, JobState, Progress, now
from shared.subscriptions import FailedItem, FoundItem, RefreshResult

HOSTILE = "[/b] [red]Ep[1]"


def test_brackets_in_a_value_are_printed_as_they_are(capsys):
    show_value({"title": HOSTILE}, as_json=False)
    show_value([{"title": HOSTILE}], as_json=False)

    assert capsys.readouterr().out.count(HOSTILE) == 2


def test_brackets_in_what_a_source_lists_are_printed_as_they_are(capsys):
    result = RefreshResult(
        source="s1", title=HOSTILE, dry_run=True, found=1, new=1, known=0, erased=0, left_out={}, hours=0, bytes=0,
        first=(FoundItem(id="i1", title=HOSTILE),),
        failed=(FailedItem(id="i2", title=HOSTILE, problem="[/]", again=True),),
    )  # fmt: skip

    _say_preview("lamp", result.model_dump(mode="json"))
    _say_refresh(result.model_dump(mode="json"))

    assert capsys.readouterr().out.count(HOSTILE) == 4


def test_brackets_in_progress_do_not_break_the_bar():
    job = Job(
        id="j", kind="refresh", service="ingest", state=JobState.RUNNING, created_at=now(), updated_at=now(),
        progress=Progress(stage=HOSTILE, note=HOSTILE),
    )  # fmt: skip

    fields = bar_fields(job)

    assert fields["description"] == fields["amount"] == r"\[/b] \[red]Ep[1]"


def test_a_host_that_is_neither_a_speaker_nor_a_second_is_refused():
    assert (answer("S2"), answer("12.5")) == ({"speaker": "S2"}, {"at_s": 12.5})
    with pytest.raises(typer.BadParameter, match="neither a speaker such as S1 nor a second"):
        answer("X")
