"""`make demo`: the whole story with real parts on two CPU cores, from speech to a new AI episode.

Speaks the fictional show, starts the stack in a folder of its own (`.run/demo`), gives studio one order, prints the
episode turn by turn as it is written, then the report, and leaves the stack down. The last line of stdout is one JSON
object, also in `.run/demo/summary.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jiwer

from services.studio.machine.local import ROOT, Stack, prepare_base_model, venv_python
from shared.client import ServiceClient
from shared.errors import DiaryError
from shared.schemas import Adapter, Dataset, Episode, EpisodeTurn, Job, Recording, Show, Transcript

HOME = ROOT / ".run" / "demo"
EXAMPLES = ROOT / "examples"
GUEST = "Orla Finnegan"
ABOUT = "keeping the last drive-in cinema on a windy island"
WORDS = int(os.environ.get("DEMO_WORDS", "220"))
STEPS = int(os.environ.get("DEMO_STEPS", "12"))
STAGES = ("install", "speak", "ingest", "transcribe", "train", "serve", "write")

# the pipeline's steps as people read them, and the stage whose seconds they count for
STAGE_OF = {"ingest": "ingest", "transcribe first": "transcribe", "set host": "transcribe", "transcribe": "transcribe"}
STAGE_OF |= {"know hosts": "transcribe", "dataset": "train", "train": "train", "write": "write"}


@dataclass
class Stopwatch:
    """Seconds per stage of the demo."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    _stage: str = ""
    _since: float = 0.0

    def enter(self, stage: str) -> None:
        now = time.monotonic()
        if self._stage:
            self.seconds[self._stage] += now - self._since
        self._stage, self._since = stage, now

    def stop(self) -> dict[str, float]:
        self.enter("")
        return {stage: round(seconds, 1) for stage, seconds in self.seconds.items()}


def main() -> int:
    watch = Stopwatch()
    watch.seconds["install"] = float(os.environ.get("DEMO_INSTALL_S", "0"))
    stack = Stack(home=HOME / "stack", port=int(os.environ.get("STUDIO_PORT", "8765")))
    try:
        summary = run(stack, watch)
    except DiaryError as error:
        say(f"error: {error}")
        return 1
    finally:
        stack.down()
    (HOME / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary), flush=True)
    return 0


def run(stack: Stack, watch: Stopwatch) -> dict[str, Any]:
    watch.enter("speak")
    spoken = speak(HOME / "spoken")

    say("\nstarting the stack")
    watch.enter("serve")
    fresh_home(stack)
    prepare_base_model(say=say)
    stack.up(say=lambda line: say(f"  {line}"))

    return story(ServiceClient("studio", stack.url("studio"), stack.admin_token()), spoken, watch)


def story(client: ServiceClient, spoken: Sequence[Spoken], watch: Stopwatch) -> dict[str, Any]:
    """The whole story told to a studio, wherever it runs; returns the figures.

    raises   DiaryError if a step fails, or if what holds by construction does not hold
    """
    show = Show.model_validate_json((EXAMPLES / "show.json").read_text())
    client.call("POST", "/v1/shows", json=json.loads((EXAMPLES / "show.json").read_text()))

    watch.enter("ingest")
    job = client.submit("/v1/pipelines", the_order(client, show, spoken))
    result = client.result(follow(client, job, watch))
    seconds = watch.stop()

    shelf = Shelf(client, show.slug)
    episode = shelf.episode(result["episode"])
    print_report(episode)
    leaked = leaked_grams(shelf, result["dataset"], spoken)
    demand_sound(episode, shelf.adapter(result["adapter"]), leaked)
    return summarise(shelf, result, spoken, episode, seconds) | {"leaked_8grams": leaked}


# ---- before: voices and a clean folder -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Spoken:
    """One interview that was spoken: its audio and what was said when."""

    audio: Path
    reference: dict[str, Any]

    @property
    def text(self) -> str:
        return " ".join(turn["text"] for turn in self.reference["turns"])

    def no_interview(self) -> set[tuple[str, ...]]:
        """Runs of 8 words of its trailer and sponsor reads, without those that the interview says too: a trailer is
        cut from there."""
        said: dict[str, set[tuple[str, ...]]] = {"trailer": set(), "sponsor": set(), "interview": set()}
        for turn in self.reference["turns"]:
            said[turn["section"]] |= grams(turn["text"])
        return said["sponsor"] | (said["trailer"] - said["interview"])

    def host_second(self) -> float:
        """The middle of the host's longest turn: where a person would point and say "this is her"."""
        own = [turn for turn in self.reference["turns"] if turn["speaker"] == self.reference["host"]]
        turn = max(own, key=lambda turn: turn["end_s"] - turn["start_s"])
        return (turn["start_s"] + turn["end_s"]) / 2


def speak(folder: Path) -> list[Spoken]:
    """Have the scripts spoken in their voices; what was spoken before is kept."""
    say("speaking the interviews")
    command = [str(venv_python("speech")), "-m", "examples.speak", "--out", str(folder), "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise DiaryError("the interviews could not be spoken; the lines above say why")
    return [
        Spoken(Path(one["audio"]), json.loads(Path(one["reference"]).read_text())) for one in json.loads(done.stdout)
    ]


def fresh_home(stack: Stack) -> None:
    """Start from nothing, so that every figure is this run's."""
    stack.down()
    shutil.rmtree(stack.home, ignore_errors=True)


# ---- the one order -------------------------------------------------------------------------------------------------


def the_order(client: ServiceClient, show: Show, spoken: Sequence[Spoken]) -> dict[str, Any]:
    """What a person would send: all files, who the host is in the first, what to train, whom to invite."""
    published = sorted((EXAMPLES / "published").glob("*.*"))
    sources = [{**upload(client, one.audio), "guest": one.reference["guest"]} for one in spoken]
    sources += [upload(client, path) for path in published]
    return {
        "show": show.slug,
        "sources": sources,
        "host_is": f"{spoken[0].host_second():.1f}",
        "training": {"steps": STEPS},
        "episode": {"guest": GUEST, "about": ABOUT, "words": WORDS},
    }


def upload(client: ServiceClient, path: Path) -> dict[str, str]:
    key = client.call("POST", "/v1/uploads", content=path.read_bytes()).json()["upload_key"]
    return {"upload_key": key, "filename": path.name}


def follow(client: ServiceClient, job: Job, watch: Stopwatch) -> Job:
    """Wait for the order, printing each stage, and each turn of the episode as soon as it is written."""
    printer = TurnPrinter(client, job.links["turns"])
    shown = ""

    def tick(now: Job) -> None:
        nonlocal shown
        if now.progress is None:
            return
        step, _, rest = now.progress.stage.partition(": ")
        step = step.split(" 1/")[0].rstrip("0123456789/ ")
        serving = step == "write" and not rest.startswith("writing")
        watch.enter("serve" if serving else STAGE_OF.get(step, "ingest"))
        line = describe(now)
        if line != shown and step != "write":
            say(f"  {line}")
        shown = line
        if step == "write":
            printer.print_new()

    ended = client.wait(job, tick)
    printer.print_new()
    return ended


def describe(job: Job) -> str:
    """One line of progress; fine steps are rounded so that a log does not fill."""
    progress = job.progress
    assert progress is not None
    if not progress.total:
        return progress.stage
    tenth = int(10 * progress.done / progress.total) * 10
    left = f", about {progress.eta_s:.0f} s left" if progress.eta_s and tenth < 100 else ""
    return f"{progress.stage} {tenth} %" + (left if tenth % 50 == 0 else "")


class TurnPrinter:
    """Prints the turns of an episode that were not printed yet."""

    def __init__(self, client: ServiceClient, path: str) -> None:
        self._client = client
        self._path = path
        self._last = -1

    def print_new(self) -> None:
        for entry in self._client.call("GET", self._path, params={"after": self._last}).json():
            turn = EpisodeTurn.model_validate(entry)
            if self._last < 0:
                say(f"\nAn AI episode with {GUEST} (invented)\n")
            print(f"{turn.speaker}: {turn.text}\n", flush=True)
            self._last = turn.index


# ---- after: figures ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shelf:
    """What the run left in the show."""

    client: ServiceClient
    show: str

    def recording(self, name: str) -> Recording:
        return Recording.model_validate(self._get("recordings", name))

    def transcript(self, recording: str) -> Transcript:
        return Transcript.model_validate(self._get("transcripts", recording))

    def dataset(self, name: str) -> Dataset:
        return Dataset.model_validate(self._get("datasets", name))

    def adapter(self, name: str) -> Adapter:
        return Adapter.model_validate(self._get("adapters", name))

    def episode(self, name: str) -> Episode:
        return Episode.model_validate(self._get("episodes", name))

    def dataset_text(self, name: str) -> str:
        """All that the dataset holds, as the files that other programs read."""
        path = f"/v1/shows/{self.show}/datasets/{name}/files/data"
        return "\n".join(self.client.call("GET", f"{path}/{half}.jsonl").text for half in ("train", "test"))

    def _get(self, noun: str, name: str) -> Any:
        return self.client.call("GET", f"/v1/shows/{self.show}/{noun}/{name}").json()


def summarise(
    shelf: Shelf, result: dict[str, Any], spoken: Sequence[Spoken], episode: Episode, seconds: dict[str, float]
) -> dict[str, Any]:
    heard = [shelf.transcript(recording) for recording in result["recordings"][: len(spoken)]]
    dataset, adapter, report = shelf.dataset(result["dataset"]), shelf.adapter(result["adapter"]), episode.report
    return {
        "recordings": len(result["recordings"]),
        "speakers": [len(transcript.speakers) for transcript in heard],
        "excluded_s": excluded_seconds(shelf.recording(name) for name in result["recordings"][: len(spoken)]),
        "wer": round(word_error_rate([one.text for one in spoken], [text_of(one) for one in heard]), 4),
        "dataset_tokens": dataset.tokens,
        "eval_loss_before": round(adapter.eval_loss_before, 4),
        "eval_loss_after": round(adapter.eval_loss_after, 4),
        "adapter": adapter.name,
        "canary": episode.canary,
        "episode": episode.id,
        "turns": report.turns,
        "words": report.words,
        "report": {
            "unclosed": report.unclosed,
            "one_word_share": report.one_word_share,
            "rep4": report.rep4,
            "worst_window_rep4": report.worst_window_rep4,
            "longest_repeat_words": report.longest_repeat_words,
        },
        "seconds": seconds,
    }


def leaked_grams(shelf: Shelf, dataset: str, spoken: Sequence[Spoken]) -> dict[str, int]:
    """Different runs of 8 words of the scripts' trailers and sponsor reads, how many of them are in the dataset, and
    how many of all that was left out its own report has found there."""
    wanted = {gram for one in spoken for gram in one.no_interview()}
    messages = [json.loads(line)["messages"][1:] for line in shelf.dataset_text(dataset).splitlines() if line]
    held = {gram for example in messages for gram in grams(" ".join(message["content"] for message in example))}
    report = shelf.dataset(dataset).report
    reported = sum(leak.found for leak in report.leaks) if report else -1
    return {"of": len(wanted), "in_dataset": len(wanted & held), "reported": reported}


def grams(text: str, length: int = 8) -> set[tuple[str, ...]]:
    words = list(normalised(text))
    return {tuple(words[first : first + length]) for first in range(len(words) - length + 1)}


def demand_sound(episode: Episode, adapter: Adapter, leaked: dict[str, int]) -> None:
    """The demo fails if what holds by construction does not hold. raises DiaryError naming all that is wrong"""
    report = episode.report
    wrong = [
        (adapter.eval_loss_after >= adapter.eval_loss_before, "held-out loss did not fall"),
        (not episode.canary, "the canary did not see the adapter"),
        (not report.alternates, "host and guest do not alternate"),
        (not report.starts_with_host, "the host does not begin"),
        (leaked["in_dataset"] + leaked["reported"] != 0, f"adverts or trailers are in the dataset: {leaked}"),
        (report.empty_turns > 0, f"{report.empty_turns} empty turns"),
    ]
    if found := [text for is_wrong, text in wrong if is_wrong]:
        raise DiaryError(f"the demo ran, but {'; '.join(found)}")


def excluded_seconds(recordings: Iterable[Recording]) -> dict[str, float]:
    """Seconds that are no interview, by reason: what the chapters of the files say."""
    found: dict[str, float] = {}
    for span in (span for recording in recordings for span in recording.excluded_spans):
        found[span.reason] = round(found.get(span.reason, 0.0) + span.end_s - span.start_s, 1)
    return found


def text_of(transcript: Transcript) -> str:
    return " ".join(turn.text for turn in transcript.turns)


def word_error_rate(said: Iterable[str], heard: Iterable[str]) -> float:
    """WER over all recordings, letters only, after the usual normalising."""
    return jiwer.wer([" ".join(normalised(text)) for text in said], [" ".join(normalised(text)) for text in heard])


def normalised(text: str) -> Iterator[str]:
    for word in text.lower().replace("-", " ").split():
        letters = "".join(letter for letter in word if letter.isalnum() or letter == "'")
        if letters:
            yield letters


def print_report(episode: Episode) -> None:
    report = episode.report
    say(f"--- report: {report.verdict}")
    say(f"    {report.words} words in {report.turns} turns; model: {episode.label}; canary: {episode.canary}")
    say(
        f"    one-word replies {report.one_word_share:.0%}, rep-4 {report.rep4:.3f}, "
        f"worst window {report.worst_window_rep4:.3f}"
    )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
