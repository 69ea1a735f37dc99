"""Datasets in a browser: building one, its verdict, what is in and out, how it reads, what a viewer sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import keys
from shared.tokens import TokenBook, new_token
from tests.fakes import MemoryStore, ScriptedCrew
from tests.studio.a_dataset import put_dataset, put_run
from tests.studio.a_door import serving, studio_of


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_dataset(store)
    return store


@pytest.fixture
def crew() -> ScriptedCrew:
    return ScriptedCrew()


@pytest.fixture
def studio(tmp_path: Path, store: MemoryStore, crew: ScriptedCrew) -> Iterator[tuple[str, str]]:
    app, secret = studio_of(tmp_path, store, crew)
    with serving(app) as url:
        yield url, secret


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("phone", "dark")])
def test_a_dataset_tells_whether_it_is_enough_what_is_in_it_and_how_it_reads(
    studio, visit: Callable[..., Any], size: str, scheme: str
):
    url, secret = studio
    here = visit(url, size, scheme)
    page = here.sign_in(secret, "/shows/lamp/datasets/d9")
    page.get_by_text("The first to train on").wait_for()
    here.look(f"dataset-{size}")

    assert page.get_by_role("heading", name="Is it enough?").inner_text().endswith("A little.")
    assert page.get_by_text("Add recordings of other guests").is_visible()
    assert page.get_by_text("6,890 tokens per second").is_visible()
    assert page.get_by_text("0 of 56 runs of 8 words").is_visible()
    held_out = page.get_by_text("The first that is held out")
    held_out.click()
    assert page.get_by_text("<script>alert(1)</script>").is_visible(), "what guests say is text"
    assert page.get_by_label("Learning rate").is_hidden(), "most people need no such thing"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_dataset_is_built_with_the_options_that_were_chosen(studio, visit: Callable[..., Any], crew: ScriptedCrew):
    url, secret = studio
    here = visit(url)
    page = here.sign_in(secret, "/shows/lamp/datasets")
    here.look("datasets")
    page.get_by_label("Transcripts to use").select_option("approved")
    page.get_by_label("Ums and uhs").select_option("drop")
    page.get_by_label("Guests kept out of training").fill("2")
    page.get_by_role("button", name="Build a dataset").click()
    page.wait_for_url("**/jobs/*")
    made = page.get_by_role("link", name="The dataset")
    made.wait_for()

    [(_, [request])] = crew.asked
    assert (request.min_state, request.fillers, request.eval_guests) == ("approved", "drop", 2)
    assert (request.max_doubt, request.max_length, request.recordings) == (0.85, None, ())
    assert made.get_attribute("href").startswith("/shows/lamp/datasets/")


def test_training_begins_with_what_was_set_and_leaves_the_rest_to_the_trainer(
    studio, visit: Callable[..., Any], crew: ScriptedCrew, store: MemoryStore
):
    url, secret = studio
    page = visit(url).sign_in(secret, "/shows/lamp/datasets/d9")
    page.get_by_text("More options").click()
    page.get_by_label("LoRA rank").fill("8")
    page.get_by_label("Put whole examples beside each other").uncheck()
    page.get_by_role("button", name="Train a model").click()
    page.wait_for_url("**/jobs/*")
    page.get_by_text("eval loss after").wait_for()

    [(_, [request])] = crew.asked
    assert (request.show, request.dataset, request.lora_rank, request.packing) == ("lamp", "d9", 8, False)
    assert (request.steps, request.learning_rate, request.continue_from) == (None, None, None)


def test_a_viewer_reads_and_takes_along_and_changes_nothing(studio, visit: Callable[..., Any], tmp_path: Path):
    url, _ = studio
    secret, token = new_token("vi", "viewer", "lamp")
    TokenBook(tmp_path / "tokens.json").add(token)
    page = visit(url).sign_in(secret, "/shows/lamp/datasets/d9")

    assert page.get_by_role("button", name="Train a model").count() == 0
    with page.expect_download() as download:
        page.get_by_role("link", name="train.jsonl").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 2
    page.goto(url + "/shows/lamp/datasets")
    assert page.get_by_role("button", name="Build a dataset").count() == 0


def test_a_dataset_whose_source_was_withdrawn_cannot_be_trained_on(tmp_path: Path, visit: Callable[..., Any]):
    store = MemoryStore()
    dataset = put_dataset(store, source_withdrawn=("r1",))
    for blob in (dataset.train, dataset.eval):
        store.delete(blob.key)
    put_run(store, 1, ())
    app, secret = studio_of(tmp_path, store, ScriptedCrew())
    with serving(app) as url:
        page = visit(url).sign_in(secret, "/shows/lamp/datasets/d9")
        page.get_by_text("There are no examples to show").wait_for()

        assert page.get_by_text("cannot be trained on any more").is_visible()
        assert page.get_by_role("button", name="Train a model").count() == 0
        assert page.get_by_role("link", name="train.jsonl").count() == 0
        assert page.get_by_role("link", name="run 1").is_visible()


def test_without_transcripts_the_list_says_what_comes_first(tmp_path: Path, visit: Callable[..., Any]):
    store = MemoryStore()
    put_dataset(store)
    store.delete(keys.dataset("lamp", "d9"))
    app, secret = studio_of(tmp_path, store, ScriptedCrew())
    with serving(app) as url:
        page = visit(url).sign_in(secret, "/shows/lamp/datasets")
        assert page.get_by_role("link", name="see the recordings").is_visible()
