"""A dataset's page and files over HTTP: who may read them, what is sent, what is said when they are gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.studio.doors.datasets import datasets_door, lines_of, samples_of
from shared import keys
from shared.schemas import Dataset
from tests.fakes import MemoryStore
from tests.studio.a_dataset import TEST, TRAIN, put_dataset
from tests.studio.a_door import door_of

PLACE = "/v1/shows/lamp/datasets/d9"
FILES = ("README.md", "data/train.jsonl", "data/test.jsonl")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_dataset(store)
    return store


@pytest.fixture
def door(tmp_path: Path, store: MemoryStore):
    return door_of(tmp_path, store, datasets_door(store))


def test_the_report_is_a_page_without_any_power(door):
    client, people = door

    reply = client.get(f"{PLACE}/report", headers=people["vi"])

    assert reply.status_code == 200 and reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert reply.headers["content-disposition"] == 'attachment; filename="lamp-d9.html"'
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "Is it enough?" in reply.text and "Since I was nine." in reply.text


def test_the_files_are_attachments_with_a_line_per_example(door):
    client, people = door

    card, train, test = (client.get(f"{PLACE}/files/{file}", headers=people["vi"]) for file in FILES)

    assert card.text.startswith("---\n") and card.headers["content-type"].startswith("text/markdown")
    told = [json.loads(line) for line in train.text.splitlines()]
    assert [line["messages"][2]["content"] for line in told] == ["A baker.", "Since I was nine."]
    assert [json.loads(line)["guest"] for line in test.text.split("\n") if line] == ["Bob"]
    assert train.headers["content-disposition"] == 'attachment; filename="train.jsonl"'
    assert train.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("file", ["data/eval.jsonl", "", "../d9", "data/", "train.jsonl"])
def test_there_are_no_other_files(door, file: str):
    client, people = door

    reply = client.get(f"{PLACE}/files/{file}", headers=people["vi"])

    assert reply.status_code == 404


def test_a_withdrawn_dataset_has_a_page_and_no_files_and_names_the_fix(door, store: MemoryStore):
    client, people = door
    withdrawn = put_dataset(store, id="d10", source_withdrawn=("r1",))

    page = client.get(f"{PLACE}/../d10/report", headers=people["vi"])
    replies = [client.get(f"/v1/shows/lamp/datasets/d10/files/{file}", headers=people["vi"]) for file in FILES]

    assert page.status_code == 200 and "1 were erased" in page.text and "A baker." not in page.text
    assert samples_of(store, withdrawn) == []
    assert {reply.status_code for reply in replies} == {404}
    assert all("diary datasets build lamp" in reply.json()["detail"] for reply in replies)


def test_examples_that_are_lost_are_said_before_anything_is_sent(door, store: MemoryStore):
    client, people = door
    dataset = Dataset.model_validate_json(store.get(keys.dataset("lamp", "d9")))
    store.delete(dataset.eval.key)

    page = client.get(f"{PLACE}/report", headers=people["vi"])
    reply = client.get(f"{PLACE}/files/data/test.jsonl", headers=people["vi"])

    assert page.status_code == 200 and "There are no examples to show" in page.text
    assert reply.status_code == 404 and "backup" in reply.json()["detail"]


@pytest.mark.parametrize("path", ["report", *(f"files/{file}" for file in FILES)])
def test_only_who_may_read_the_show_gets_them(door, path: str):
    client, people = door

    assert client.get(f"{PLACE}/{path}").status_code == 401
    assert client.get(f"{PLACE}/{path}", headers=people["one"]).status_code == 403
    assert client.get(f"{PLACE}x/{path}", headers=people["vi"]).status_code == 404


def test_samples_are_the_first_the_longest_and_one_held_out(store: MemoryStore):
    dataset = Dataset.model_validate_json(store.get(keys.dataset("lamp", "d9")))

    samples = samples_of(store, dataset)
    only = samples_of(store, dataset.model_copy(update={"train": dataset.eval}))

    assert [sample.example for sample in samples] == [TRAIN[0], TRAIN[1], TEST[0]]
    assert [sample.about.split()[1] for sample in samples] == ["first", "longest", "first"]
    assert [sample.about for sample in only] == [
        "The first to train on, and the longest",
        "The first that is held out",
    ]


@pytest.mark.parametrize(
    "pieces", [[b"a\nbb\n"], [b"a", b"\nb", b"b"], [b"a\n\n", b"\n", b"bb"], [b"", b"a\nb", b"b\n"]]
)
def test_lines_are_whole_wherever_the_pieces_were_cut(pieces: list[bytes]):
    assert list(lines_of(pieces)) == [b"a", b"bb"]
