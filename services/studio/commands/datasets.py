"""`diary datasets build`, `report`, `export`, `diary adapters train`, `diary runs`: from transcripts to an adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from services.studio.commands.storage import bar
from services.studio.commands.terminal import Json, NoWait, Slug, carry_out, errors, get, order, out, show_value, studio
from services.studio.dataset_files import CARD, FILES
from services.studio.dataset_page import (
    VERDICTS,
    estimate_sentence,
    figures_sentence,
    leak_sentences,
    totals_of,
    withdrawn_sentence,
    without_report,
)
from shared.schemas import Dataset

HALF_WRITTEN = ".half-written"
DatasetId = Annotated[str, typer.Argument(help="The dataset's id, as `diary datasets list` shows it.")]

runs = typer.Typer(no_args_is_help=True, help="Training runs, under way or over.")


# ---- datasets --------------------------------------------------------------------------------------------------------


def build(
    show: Slug,
    recording: Annotated[list[str] | None, typer.Option(help="Only this recording; repeatable.")] = None,
    min_state: Annotated[
        str | None, typer.Option(help="Only transcripts that are at least reviewed, or approved.")
    ] = None,
    max_doubt: Annotated[float | None, typer.Option(help="Leave out turns that are doubted more, 0 to 1.")] = None,
    drop_fillers: Annotated[bool, typer.Option("--drop-fillers", help="Take ums and uhs out.")] = False,
    max_length: Annotated[int | None, typer.Option(help="Tokens per example, at most.")] = None,
    eval_guests: Annotated[int | None, typer.Option(help="Guests kept out of training, to judge it by.")] = None,
    loss_on: Annotated[str | None, typer.Option(help="Whose words are learnt: both, guest or host.")] = None,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Freeze the show's transcripts into training examples, and say whether they are enough."""
    wishes = {
        "recordings": recording or None,
        "min_state": min_state,
        "max_doubt": max_doubt,
        "fillers": "drop" if drop_fillers else None,
        "max_length": max_length,
        "eval_guests": eval_guests,
        "loss_on": loss_on,
    }
    made = carry_out("/v1/datasets", {"show": show, **wishes}, no_wait=no_wait)
    show_value(made, as_json)
    if not as_json and not no_wait:
        dataset = read(show, made["dataset"])
        _say_verdict(dataset)
        _say(f"what is in it and what is not: `diary datasets report {show} {dataset.id}`")


def report(
    show: Slug,
    dataset: DatasetId,
    to: Annotated[Path | None, typer.Option("--out", help="An HTML page to write, with examples to read.")] = None,
    as_json: Json = False,
) -> None:
    """Say whether a dataset is enough, what is in it, what is left out and why."""
    found = read(show, dataset)
    if to is not None:
        with studio() as client:
            to.write_bytes(client.call("GET", f"{place(show, dataset)}/report", timeout=None).content)
        errors.print(f"wrote {to}", highlight=False)
    if as_json:
        print(json.dumps(found.report.model_dump(mode="json") if found.report else None))
    else:
        _say_all(found)


def export(
    show: Slug,
    dataset: DatasetId,
    to: Annotated[Path, typer.Option(help="A folder to make, or an empty one.")],
    as_json: Json = False,
) -> None:
    """Write a dataset as chat messages with a card: a folder that `datasets.load_dataset` reads."""
    with whole_folder(to) as folder, studio() as client, bar("exporting") as tell:
        for file in FILES:
            (folder / file).parent.mkdir(exist_ok=True)
            with (folder / file).open("wb") as target:
                for piece in client.stream("GET", f"{place(show, dataset)}/files/{file}"):
                    target.write(piece)
                    tell.advance(len(piece))
    show_value({"dataset": dataset, "folder": str(to), "files": list(FILES)}, as_json)


@contextmanager
def whole_folder(to: Path) -> Iterator[Path]:
    """A folder to write into; what is in it comes to its place when all is written, the card last, or never.

    raises   BadParameter for a folder that is not empty; what a command that was killed has left in it does not count
    """
    if to.exists() and not to.is_dir():
        raise typer.BadParameter(f"--to {to} is a file; name a folder that is new or empty")
    if to.is_dir() and any(path.name != HALF_WRITTEN for path in to.iterdir()):
        raise typer.BadParameter(f"--to {to} is not empty; name a folder that is new or empty")
    is_new, folder = not to.exists(), to / HALF_WRITTEN
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
        for path in sorted(folder.iterdir(), key=lambda path: path.name == CARD):
            path.rename(to / path.name)
    finally:
        shutil.rmtree(folder)
        if is_new and not any(to.iterdir()):
            to.rmdir()


def place(show: str, dataset: str) -> str:
    return f"/v1/shows/{show}/datasets/{dataset}"


def read(show: str, dataset: str) -> Dataset:
    with studio() as client:
        return Dataset.model_validate(client.call("GET", place(show, dataset)).json())


# ---- adapters and runs -----------------------------------------------------------------------------------------------


def train(
    show: Slug,
    dataset: Annotated[str | None, typer.Argument(help="The dataset's id; with --resume, that of the run.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, at most; as many as the epochs take when left out.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Times that each example is seen, at most.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Follows from the base model when left out.")] = None,
    rank: Annotated[int | None, typer.Option(help="Of the LoRA matrices.")] = None,
    quantisation: Annotated[
        str | None, typer.Option(help="Of the base model: none, nf4 (QLoRA), or auto: where it would not fit.")
    ] = None,
    continue_from: Annotated[str | None, typer.Option(help="An adapter of the show to go on from.")] = None,
    resume: Annotated[
        int | None,
        typer.Option(help="A stopped run of the show to go on with, as `diary runs list` shows it, with its settings."),
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="All that the trainer sees when left out.")] = None,
    no_packing: Annotated[bool, typer.Option("--no-packing", help="One example a row.")] = False,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many checkpoints without a lower held-out loss; 0: never.")
    ] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    as_json: Json = False,
    no_wait: NoWait = False,
) -> None:
    """Fine-tune a LoRA adapter on a dataset; what is not given, the trainer chooses. Or go on with a stopped run."""
    wishes = {
        "steps": steps,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "lora_rank": rank,
        "quantisation": quantisation,
        "continue_from": continue_from,
        "resume": resume,
        "gpus": gpus,
        "packing": False if no_packing else None,
        "patience": patience,
        "seed": seed,
    }
    learnt_from = dataset or dataset_of(show, resume)
    order("/v1/adapters", {"show": show, "dataset": learnt_from, **wishes}, as_json=as_json, no_wait=no_wait)


def dataset_of(show: str, resume: int | None) -> str:
    """That of the run to resume. raises BadParameter where none is named"""
    if resume is None:
        raise typer.BadParameter(f"name a dataset, as `diary datasets list {show}` shows it; or a run to --resume")
    with studio() as client:
        found: str = client.call("GET", f"/v1/shows/{show}/runs/{resume}").json()["dataset"]
    return found


@runs.command("list")
def list_runs(show: Slug, as_json: Json = False) -> None:
    """List a show's training runs with their held-out losses."""
    get(f"/v1/shows/{show}/runs", as_json, run_row)


@runs.command("show")
def show_run(
    show: Slug,
    number: Annotated[int, typer.Argument(help="As `diary runs list` shows it.")],
    as_json: Json = False,
) -> None:
    """Print the losses of a run so far, and which checkpoints are kept."""
    with studio() as client:
        found = client.call("GET", f"/v1/shows/{show}/runs/{number}").json()
    if as_json:
        show_value(found, as_json)
        return
    show_value({**run_row(found), "checkpoints": ", ".join(map(str, found["checkpoints"])) or "none"}, as_json)
    table = Table("step", "training loss", "held-out loss", "recited")
    for point in found["metrics"]:
        if point["eval_loss"] is not None:
            recited = f"{point['judged']['recited']:.1%}" if point["judged"] else ""
            table.add_row(str(point["step"]), _loss(point["train_loss"]), _loss(point["eval_loss"]), recited)
    out.print(table)


def run_row(run: dict[str, Any]) -> dict[str, str]:
    """What a person sees of a run."""
    best = f"{_loss(run['best_eval_loss'])} at step {run['best_step']}" if run["best_step"] is not None else ""
    return {
        "number": str(run["number"]),
        "dataset": run["dataset"],
        "job": run["job"],
        "steps": f"{run['step']} of {run['steps']}" if run["steps"] else str(run["step"]),
        "held-out loss": _loss(run["eval_loss"]),
        "best": best,
        "adapter": run["adapter"] or "",
    }


def _loss(loss: float | None) -> str:
    return f"{loss:.4f}" if loss is not None else ""


# ---- what is said of a dataset ---------------------------------------------------------------------------------------


def _say_verdict(dataset: Dataset) -> None:
    if dataset.source_withdrawn:
        _say(withdrawn_sentence(dataset))
    if dataset.report is None:
        _say(without_report(dataset))
        return
    out.print(f"[bold]is it enough?[/bold] {VERDICTS[dataset.report.enough]}", highlight=False, soft_wrap=True)
    for sentence in dataset.report.advice:
        _say(f"- {sentence}")


def _say_all(dataset: Dataset) -> None:
    _say_verdict(dataset)
    found = dataset.report
    if found is not None:
        _say(figures_sentence(found))
        _say(estimate_sentence(found.estimate))
        table = Table("recording", "guest", "checked", "used to", "examples", "tokens", "minutes", title="what is in")
        for one in found.recordings:
            names = (one.recording, escape(one.guest), one.state.value, "judge by" if one.held_out else "train on")
            table.add_row(*names, f"{one.examples:,}", f"{one.tokens:,}", f"{one.talk_s / 60:.0f}")
        out.print(table)
    table = Table("reason", "words", "recordings", title="what is left out")
    for total in found.left_out if found is not None else totals_of(dataset.left_out):
        table.add_row(escape(total.reason), f"{total.words:,}", f"{total.recordings:,}")
    out.print(table)
    for sentence in (*(leak_sentences(found) if found is not None else ()), *dataset.warnings):
        _say(f"- {sentence}")


def _say(sentence: str) -> None:
    out.print(escape(sentence), highlight=False, soft_wrap=True)


def add_to(app: typer.Typer, datasets: typer.Typer, adapters: typer.Typer) -> None:
    """Put these commands where people look for them."""
    for verb in (build, report, export):
        datasets.command(verb.__name__)(verb)
    adapters.command("train")(train)
    app.add_typer(runs, name="runs")
