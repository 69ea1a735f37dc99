"""A dataset as files for other programs: chat messages, a line per example, and a card that names the splits. Pure.

`datasets.load_dataset(folder)` of Hugging Face reads the folder as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from shared.schemas import Dataset, Example, Show

Split = Literal["train", "test"]

CARD = "README.md"
SPLITS: dict[str, Split] = {"data/train.jsonl": "train", "data/test.jsonl": "test"}
FILES = (CARD, *SPLITS)
CHAT_ROLES = {"system": "system", "host": "user", "guest": "assistant"}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
RIGHTS = {
    "own": "The recordings belong to whoever runs the show. The people in them keep their own rights.",
    "licensed": "The recordings are used under a licence. What it allows applies to this text too.",
    "private": "The recordings are used in private. Publish neither this text nor what is trained on it.",
}
_UNSAFE_LINES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "\x7f\x85\u2028\u2029\ufeff"}
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~!&$])")


def chat_line(example: Example) -> bytes:
    """One line of JSON: host is `user`, guest is `assistant`."""
    messages = [{"role": CHAT_ROLES[message.role], "content": message.text} for message in example.messages]
    record = {"messages": messages, "recording": example.recording, "guest": example.guest}
    return (json.dumps(record, ensure_ascii=False).translate(_UNSAFE_LINES) + "\n").encode()


def card(dataset: Dataset, show: Show) -> str:
    """README.md: YAML that names the splits, then what a reader should know."""
    return f"---\n{_front_matter(dataset, show)}---\n\n{_body(dataset, show)}"


def _front_matter(dataset: Dataset, show: Show) -> str:
    language = "" if show.language == "auto" else f"language:\n- {quoted(show.language)}\n"
    files = "".join(f"  - split: {split}\n    path: {path}\n" for path, split in SPLITS.items())
    return (
        f"pretty_name: {quoted(f'{show.title}: conversations')}\n{language}license: other\n"
        f"size_categories:\n- {quoted(_size(dataset.train_examples + dataset.eval_examples))}\n"
        "task_categories:\n- text-generation\ntags:\n- interview-podcast\n- conversational\n"
        f"configs:\n- config_name: default\n  data_files:\n{files}"
    )


def _body(dataset: Dataset, show: Show) -> str:
    learnt = "host and guest" if dataset.loss_on == "both" else f"the {dataset.loss_on}"
    splits = [
        ("train", dataset.train_examples, dataset.train_tokens, ", ".join(dataset.train_guests)),
        ("test", dataset.eval_examples, dataset.eval_tokens, ", ".join(dataset.eval_guests)),
    ]
    sources = [(source.key, source.sha256) for source in dataset.lineage.made_from]
    return f"""# {plain(show.title)}: conversations

Interviews of {plain(show.host)} (`user`) with guests (`assistant`), dataset {plain(dataset.id)}. Each line of a file is
one example: `messages`, beginning with a `system` message that says who talks about what; `recording`; `guest`.

{_table(("split", "examples", "tokens", "guests"), splits)}

Guests of `test` are never in `train`. Tokens are those of {plain(dataset.base_model)}, at most {dataset.max_length} in
an example; it was made to learn from {learnt}.

## Rights

{RIGHTS[show.rights]}

## What was left out

{_left_out(dataset)}

## Where it comes from

Base model whose tokens were counted: {plain(dataset.base_model)} at {plain(dataset.base_revision)}.
Made by {plain(dataset.lineage.by)} {plain(dataset.lineage.version)} on {dataset.lineage.made_at:%Y-%m-%d} from:

{_table(("transcript", "sha256"), sources)}
"""


def _left_out(dataset: Dataset) -> str:
    if not dataset.left_out:
        return "Nothing."
    rows = [(one.recording, one.reason, one.words) for one in dataset.left_out]
    return _table(("recording", "reason", "words"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *([plain(str(cell)) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _size(examples: int) -> str:
    return next((name for most, name in SIZES if examples < most), "n>1M")


def quoted(text: str) -> str:
    """A text as a YAML scalar in double quotes, whatever it holds."""
    signs = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in signs)


def plain(text: str) -> str:
    """A text as words of Markdown on one line: nothing in it is markup, nor ends a cell of a table."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
