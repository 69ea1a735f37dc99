"""`make showcase`: one full-length episode with an invented guest, by the stack that is running on a GPU host.

    python -m examples.showcase [--words 10000] [--adapter best] [--out .run/showcase]

Studio is found by DIARY_URL and DIARY_TOKEN, as the `diary` command does it; a local stack needs neither. The order
goes out over HTTP, a bar shows how far it is (Ctrl-C cancels), and the folder has afterwards:

    episode.json    the episode with its turns and its report
    report.json     the report alone
    episode.md, episode.html   exports that say what it is
    showcase.json   minutes, words, tokens per second, peak GPU memory

GPU memory is asked of this machine's nvidia-smi every two seconds, of all cards and all programs; where there is none,
`peak_vram_mib` is null. The guest and the facts are fiction, written for this project.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.studio.commands.terminal import follow, studio
from services.studio.machine.local import ROOT
from shared.client import ServiceClient
from shared.errors import DiaryError, NotFoundError
from shared.machine import Answer, run
from shared.schemas import Episode

WORDS = 10_000
EXPORTS = ("md", "html")
POLL_S = 2.0
MEMORY_QUERY = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits")
BRIEF: dict[str, Any] = {
    "guest": "Orla Finnegan",
    "guest_is": "invented",
    "about": "keeping the last drive-in cinema on a windy island, and what a place owes to those who stay",
    "tone": "warm and curious, with room for long stories",
    "facts": [
        "Orla Finnegan was born on the island of Innismara, the third daughter of a ferry pilot.",
        "She trained as a projectionist in the town of Carrow at the age of 19.",
        "She bought the drive-in cinema The Long Field in 1998, with a loan from the island's fishermen.",
        "The Long Field has room for 62 cars; its screen is made of sailcloth and steel.",
        "A storm tore the screen down in 2007, and the islanders sewed a new one in eleven days.",
        "Sound comes over a small radio transmitter that her sister Maeve repaired for twenty years.",
        "In 2015 she stopped selling tickets: people pay with what they have, mostly fish and firewood.",
        "Her rule is that no film is shown twice in a year, but for one that the children choose.",
        "She keeps a book in which visitors write what they saw in the sky during the film.",
        "She is teaching two apprentices, Tomas and Una, who are to take over the cinema.",
    ],
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.showcase", description="Write one full-length episode.")
    parser.add_argument("--words", type=int, default=WORDS)
    parser.add_argument("--adapter", default="best", help="an adapter, best, or base; best without adapters is base")
    parser.add_argument("--out", type=Path, default=ROOT / ".run" / "showcase")
    asked = parser.parse_args(arguments)
    try:
        with studio() as client:
            figures = showcase(client, asked.words, asked.adapter, asked.out)
    except DiaryError as error:
        say(f"error: {error}")
        return 1
    print(json.dumps(figures), flush=True)
    return 0


def showcase(client: ServiceClient, words: int, adapter: str, folder: Path) -> dict[str, Any]:
    """Order the episode, wait for it, write the files; returns what showcase.json has."""
    show = the_show(client)
    began = time.monotonic()
    with Memory() as memory:
        job = client.submit("/v1/episodes", {"show": show, **BRIEF, "words": words, "adapter": adapter})
        result = client.result(follow(client, job))
    seconds = time.monotonic() - began

    place = f"/v1/shows/{show}/episodes/{result['episode']}"
    episode = Episode.model_validate(client.call("GET", place).json())
    exports = {form: client.call("GET", f"{place}/export", params={"format": form}).content for form in EXPORTS}
    figures = figures_of(episode, seconds, memory.peak_mib)
    if memory.peak_mib is None:
        say(f"no GPU memory was recorded: {memory.trouble}")
    folder.mkdir(parents=True, exist_ok=True)
    for form, content in exports.items():
        (folder / f"episode.{form}").write_bytes(content)
    (folder / "report.json").write_text(episode.report.model_dump_json(indent=1) + "\n")
    (folder / "episode.json").write_text(episode.model_dump_json(indent=1) + "\n")
    (folder / "showcase.json").write_text(json.dumps(figures, indent=1) + "\n")
    say(f"{episode.report.verdict}\nwrote {folder}")
    return figures


def the_show(client: ServiceClient) -> str:
    """The fictional show's slug; it is made unless it is there."""
    facts = json.loads((ROOT / "examples" / "show.json").read_text())
    try:
        client.call("GET", f"/v1/shows/{facts['slug']}")
    except NotFoundError:
        client.call("POST", "/v1/shows", json=facts)
    return facts["slug"]


def figures_of(episode: Episode, seconds: float, peak_mib: int | None) -> dict[str, Any]:
    """tokens_per_s is of the tokens that were kept, with all that it took: plan, attempts, report, an engine's start;
    writing_tokens_per_s of the turns alone, as the service measured it since it last began."""
    kept = sum(turn.tokens for turn in episode.turns)
    return {
        "minutes": round(seconds / 60, 2),
        "words": episode.report.words,
        "turns": episode.report.turns,
        "tokens": kept,
        "tokens_per_s": round(kept / seconds, 1),
        "writing_tokens_per_s": episode.lineage.parameters.get("tokens_per_s"),
        "peak_vram_mib": peak_mib,
        "model": episode.label,
        "verdict": episode.report.verdict,
    }


# ---- GPU memory ------------------------------------------------------------------------------------------------------


def used_mib(answer: Answer) -> int | None:
    """MiB in use of the fullest GPU; None where nvidia-smi is not there or does not tell."""
    if answer.status != 0:
        return None
    numbers = [int(line) for line in answer.text.split() if line.isdigit()]
    return max(numbers, default=None)


class Memory:
    """Asks nvidia-smi again and again until its block is left; does not ask again where it does not answer.

    peak_mib   most that was in use on one GPU; None where nothing was told
    trouble    why nothing was told
    """

    def __init__(self) -> None:
        self.peak_mib: int | None = None
        self.trouble = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _poll(self) -> None:
        while True:
            answer = run(MEMORY_QUERY)
            if (now := used_mib(answer)) is not None:
                self.peak_mib = max(now, self.peak_mib or 0)
            elif self.peak_mib is None:
                self.trouble = answer.text or "there is no nvidia-smi on this machine"
                return
            if self._over.wait(POLL_S):
                return


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
