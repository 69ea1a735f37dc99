"""`diary episodes compare`, `comparison`, `comparisons`, `nearest` against studio's real doors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import keys
from tests.fakes import MemoryStore
from tests.studio.a_door import Desk, serving, studio_of
from tests.studio.a_show import put_show
from tests.studio.test_cli import as_json
from tests.studio.test_comparing import SECOND, WritingCrew, put_adapter

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder, store = tmp_path_factory.mktemp("desk"), MemoryStore()
    put_show(store)
    put_adapter(store, SECOND, eval_loss_after=1.5)
    put_adapter(store, "lamp.r3.c1", eval_loss_after=9)
    store.objects[keys.episode("lamp", "e2")] = store.objects[keys.episode("lamp", "e1")].replace(b'"e1"', b'"e2"')
    app, token = studio_of(folder, store, WritingCrew(store, fails=("lamp.r3.c1",)))
    with serving(app) as url:
        yield Desk(url, token, folder / "state-home")


def test_a_brief_is_written_by_each_and_shown_side_by_side(desk: Desk):
    adapters = ("--adapter", "best", "--adapter", "base", "--adapter", "lamp.r3.c1")

    done = desk.diary("episodes", "compare", "lamp", "--guest", "Orla [b]", "--words", "900", *adapters)

    assert done.returncode == 0, done.stderr
    for told in (
        SECOND,
        "base",
        "failed",
        "4 bad",
        "the canary of lamp.r3.c1 failed",
        "base, e-base: fine",
        "host: Yes.",
    ):
        assert told in done.stdout, told
    (listed,) = as_json(desk.diary("episodes", "comparisons", "lamp", "--json"))
    shown = as_json(desk.diary("episodes", "comparison", "lamp", listed["id"], "--json"))
    assert [side["adapter"] for side in shown["sides"]] == [SECOND, "base", "lamp.r3.c1"]
    assert "Orla [b]" in desk.diary("episodes", "comparison", "lamp", listed["id"]).stdout
    assert "lamp.r3.c1 (failed)" in desk.diary("episodes", "comparisons", "lamp").stdout


def test_stored_episodes_are_shown_without_writing_any(desk: Desk):
    done = desk.diary("episodes", "compare", "lamp", "e1", "e2")
    sides = as_json(desk.diary("episodes", "compare", "lamp", "e1", "e2", "--json"))

    assert done.returncode == 0 and "host and guest alternate" in done.stdout
    assert [side["episode"] for side in sides] == ["e1", "e2"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--guest", "Orla", "--adapter", "base"), "--adapter best --adapter base"),
        (("e1",), "name at least two episodes"),
        (("e1", "e2", "--guest", "Orla"), "not both"),
        (("--guest", "Orla", "--adapter", "base", "--adapter", "lamp.r9.c9"), "has no adapter lamp.r9.c9"),
    ],
)
def test_what_cannot_be_compared_names_the_fix(desk: Desk, options: tuple[str, ...], told: str):
    done = desk.diary("episodes", "compare", "lamp", *options)

    assert done.returncode != 0 and told in " ".join(done.stderr.split()) and "Traceback" not in done.stderr


def test_where_there_is_nothing_to_quote_the_reason_is_told(desk: Desk, tmp_path: Path):
    found = desk.diary("episodes", "nearest", "lamp", "e-base", "1")
    missing = desk.diary("episodes", "nearest", "lamp", "e1", "7")

    assert found.returncode == 0 and "Yes." in found.stdout and "the base model wrote this" in found.stdout
    assert missing.returncode == 1 and "numbered from 0 to 1" in missing.stderr
