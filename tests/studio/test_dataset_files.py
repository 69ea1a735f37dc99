"""A dataset as files that other programs read, whatever names and texts hold."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.studio.dataset_files import SPLITS, card, chat_line, plain, quoted
from services.studio.machine.local import venv_python
from shared.schemas import LeftOut
from tests.conftest import demand_environments
from tests.fakes import MemoryStore
from tests.studio.a_dataset import HOSTILE, TEST, TRAIN, example, put_dataset, show

EVERY_SIGN = "".join(map(chr, [*range(1, 0x500), *range(0x2000, 0x2100), 0xFEFF, 0xFFFD, 0xFFFE, 0x1F600]))


def front_matter(text: str) -> dict[str, Any]:
    head, _, _ = text.removeprefix("---\n").partition("\n---\n")
    return yaml.safe_load(head)


def test_a_line_is_a_conversation_of_system_user_and_assistant():
    line = chat_line(TRAIN[0])

    told = json.loads(line)
    assert [message["role"] for message in told["messages"]] == ["system", "user", "assistant"]
    assert told["messages"][2]["content"] == "A baker." and (told["recording"], told["guest"]) == ("r1", "Ann")
    assert line.endswith(b"}\n")


@pytest.mark.parametrize("said", [HOSTILE, EVERY_SIGN, "two\nlines", "گفتگو"])
def test_an_example_is_one_line_whatever_it_says(said: str):
    line = chat_line(example(said, said)).decode()

    assert len(line.splitlines()) == 1
    assert json.loads(line)["messages"][1]["content"] == json.loads(line)["guest"] == said


@pytest.mark.parametrize("text", [HOSTILE, EVERY_SIGN, "no: yes", "- a\n---\nb: c", "1.0", "'", "", "🙂"])
def test_a_text_is_the_same_after_yaml(text: str):
    assert yaml.safe_load(f"name: {quoted(text)}\nother: 1\n") == {"name": text, "other": 1}


def test_the_card_names_the_splits_and_what_a_reader_should_know():
    text = card(put_dataset(MemoryStore()), show(rights="licensed", language="fa"))

    facts = front_matter(text)
    files = facts["configs"][0]["data_files"]
    assert {one["path"]: one["split"] for one in files} == SPLITS
    assert (facts["language"], facts["size_categories"]) == (["fa"], ["n<1K"])
    assert facts["pretty_name"] == "The Lamplight Hour: conversations"
    assert "Guests of `test` are never in `train`" in text and "used under a licence" in text
    assert "| train | 2 | 90 | Ann |" in text and "| test | 1 | 40 | Bob |" in text
    assert "| r1 | advert | 50 |" in text
    assert "tests/tiny at 0123456789abcdef" in text and f"| shows/lamp/transcripts/r1/rev1.json | {'a' * 64} |" in text


def test_hostile_names_and_reasons_neither_end_a_cell_nor_become_markup():
    left_out = (LeftOut(recording="r1", reason=HOSTILE, words=1),)
    dataset = put_dataset(MemoryStore(), train_guests=(HOSTILE,), left_out=left_out)

    text = card(dataset, show(title=f"{HOSTILE}\n---\nlicense: mit", host=HOSTILE, language="auto"))

    facts = front_matter(text)
    assert facts["license"] == "other" and HOSTILE in facts["pretty_name"] and "language" not in facts
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("| ")]
    assert {row.count("|") for row in rows} == {3, 4, 5}
    assert "<script>" not in text.partition("\n---\n")[2] and "\\<script\\>" in text


def test_words_of_markdown_stay_on_one_line():
    assert plain(" a\n# b  | c ") == "a \\# b \\| c"


def test_the_library_that_others_use_loads_the_folder(tmp_path: Path):
    demand_environments("trainer")
    dataset = put_dataset(MemoryStore(), train_guests=(HOSTILE,))
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text(card(dataset, show(title=HOSTILE)))
    for name, examples in zip(SPLITS, (TRAIN, TEST), strict=True):
        (tmp_path / name).write_bytes(b"".join(map(chat_line, examples)))

    script = (
        "import json, sys, datasets; found = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[1] + '/cache'); "
        "print(json.dumps({name: split.to_list() for name, split in found.items()}))"
    )
    done = subprocess.run(
        [venv_python("trainer"), "-c", script, tmp_path], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {name: len(rows) for name, rows in told.items()} == {"train": 2, "test": 1}
    assert told["test"][0] == json.loads(chat_line(TEST[0]))
