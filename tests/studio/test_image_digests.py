"""The digests of pushed images, as docker tells them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from services.studio.machine.image_digests import FILE, SERVICES, NotPushedError, pick, repository, write
from services.studio.machine.local import SERVICES as ALL

PREFIX = "registry.example:5000/team/diary"
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def images() -> list[str]:
    return [*(f"{PREFIX}/{name}:9.8" for name in SERVICES), "pgsty/silo:RELEASE@sha256:" + "3" * 64]


def pushed(image: str) -> list[str]:
    """As `docker inspect` prints RepoDigests of an image that was in two registries."""
    name = repository(image)
    return [f"elsewhere.example/{name.rsplit('/', 1)[-1]}@{OLD}", f"{name}@{NEW}"]


def test_every_service_is_one_of_ours():
    assert {*SERVICES} == {*ALL}


def test_each_image_is_pinned_to_what_its_own_registry_holds(tmp_path: Path):
    (tmp_path / FILE).parent.parent.mkdir()

    written = yaml.safe_load(write(images(), tmp_path, pushed).read_text())

    assert written["kind"] == "Component"
    assert written["images"] == [
        {"name": f"diary/{name}", "newName": f"{PREFIX}/{name}", "digest": NEW} for name in SERVICES
    ]


def test_an_image_that_was_not_pushed_leaves_the_file_as_it_was(tmp_path: Path):
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text("before")

    with pytest.raises(NotPushedError, match="make push"):
        write(images(), tmp_path, lambda image: [])

    assert (tmp_path / FILE).read_text() == "before"


def test_docker_leaves_out_the_host_of_its_own_registry():
    assert pick("hub.example/team/studio:1", [f"team/studio@{NEW}"]) == f"hub.example/team/studio@{NEW}"


@pytest.mark.parametrize(
    ("image", "expected"),
    [("diary/studio:0.1.0", "diary/studio"), ("r:5000/a/b:1", "r:5000/a/b"), ("r:5000/a/b", "r:5000/a/b")],
)
def test_a_port_is_no_version(image: str, expected: str):
    assert repository(image) == expected
