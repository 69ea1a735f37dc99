"""What a person reads of a dataset, and the dataset as files for other programs; examples are read one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from services.studio.dataset_files import CARD, FILES, SPLITS, card, chat_line
from services.studio.dataset_page import Sample, page, withdrawn_sentence
from services.studio.doors.attachments import as_file
from services.studio.library import Library
from shared.errors import NotFoundError
from shared.schemas import Blob, Dataset, Example
from shared.service import viewer
from shared.store import Store, parse
from shared.tokens import Access, Token


def datasets_door(store: Store) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/datasets/{name}", tags=["datasets"])
    library = Library(store)

    def wanted(show: str, name: str, token: Token = Depends(viewer)) -> Dataset:
        token.demand(Access.VIEWER, show)
        return library.dataset(show, name)

    @router.get("/report")
    def report(dataset: Dataset = Depends(wanted)) -> Response:
        """Is it enough, what is in it, what is left out and why, and three examples: one HTML page."""
        written = page(dataset, library.show(dataset.show), samples_of(store, dataset))
        headers = as_file(f"{dataset.show}-{dataset.id}.html")
        return Response(written.encode(), media_type="text/html; charset=utf-8", headers=headers)

    @router.get("/files/{file:path}")
    def file(file: str, dataset: Dataset = Depends(wanted)) -> Response:
        """README.md, data/train.jsonl or data/test.jsonl: chat messages, a line per example, and a dataset card."""
        if file not in FILES:
            raise NotFoundError(f"a dataset has no file {file[:80]!r}; it has {', '.join(FILES)}")
        demand_examples(store, dataset)
        headers = as_file(file.rsplit("/", 1)[-1])
        if file == CARD:
            written = card(dataset, library.show(dataset.show))
            return Response(written.encode(), media_type="text/markdown; charset=utf-8", headers=headers)
        blob = dataset.train if SPLITS[file] == "train" else dataset.eval
        lines = (chat_line(example) for example in examples_in(store, blob))
        return StreamingResponse(lines, media_type="application/jsonl; charset=utf-8", headers=headers)

    return router


def demand_examples(store: Store, dataset: Dataset) -> None:
    """raises NotFoundError, naming the fix, where a dataset's examples are not there any more"""
    if dataset.source_withdrawn:
        raise NotFoundError(withdrawn_sentence(dataset))
    if not examples_are_there(store, dataset):
        raise NotFoundError(
            f"the examples of dataset {dataset.id} are not stored; restore them from a backup (`diary shows import`), "
            f"or build a new one with `diary datasets build {dataset.show}`"
        )


def examples_are_there(store: Store, dataset: Dataset) -> bool:
    """Whether a dataset can be read, and trained on."""
    return not dataset.source_withdrawn and store.exists(dataset.train.key) and store.exists(dataset.eval.key)


def samples_of(store: Store, dataset: Dataset) -> list[Sample]:
    """The first example to train on, the longest, and the first held out; none where they are not there any more."""
    if not examples_are_there(store, dataset):
        return []
    first = next(examples_in(store, dataset.train), None)
    longest = max(examples_in(store, dataset.train), key=lambda example: example.tokens, default=None)
    held_out = next(examples_in(store, dataset.eval), None)
    titles = ("The first to train on", "The longest to train on", "The first that is held out")
    if first == longest:
        titles, longest = ("The first to train on, and the longest", *titles[1:]), None
    found = zip(titles, (first, longest, held_out), strict=True)
    return [Sample(title, example) for title, example in found if example is not None]


def examples_in(store: Store, blob: Blob) -> Iterator[Example]:
    """The examples of a file, one after the other. raises BadInputError for a damaged one"""
    for line in lines_of(store.stream(blob.key)):
        yield parse(line, blob.key, Example)


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that are not empty, wherever the pieces were cut."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest
