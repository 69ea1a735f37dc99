"""A dataset's page: the verdict first, everything that was made up stays words, and it is readable without us."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from services.studio.dataset_page import STYLE, Sample, estimate_sentence, leak_sentences, page, span
from shared.schemas import Dataset, Leak
from tests.fakes import MemoryStore
from tests.studio.a_dataset import HOSTILE, REPORT, TEST, TRAIN, put_dataset, show

SAMPLES = [Sample("The first", TRAIN[0]), Sample("The longest", TRAIN[1]), Sample("Held out", TEST[0])]
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """What a browser makes of a page: the words, the tags, each closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def dataset(**facts: object) -> Dataset:
    return put_dataset(MemoryStore(), **facts)


def read(of: Dataset, samples: list[Sample] | None = None) -> Reader:
    return Reader(page(of, show(), SAMPLES if samples is None else samples))


def test_the_verdict_and_what_to_do_next_come_before_all_figures():
    text = read(dataset()).text

    places = [text.index(said) for said in ("Is it enough?", "A little.", REPORT.advice[0], "In numbers", "What is in")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "said",
    [
        "hours of talk 0.2",
        "3 (the first attempt had 323 chunks)",
        "2, of whom 1 are held out",
        "About 24 minutes on NVIDIA H100 (79.2 GB): LoRA bf16, 18.7 GB of memory",
        "r1 Ann rev1 approved train on 2 90 10",
        "r2 Bob rev7 machine judge by 1 40 5",
        "advert 50 1 trailer 20 1",
        "r1 advert 50 r2 trailer 20",
        "0 of 56 runs of 8 words",
        "trailer: 0 of 13.",
        "who the host of r2 is was guessed",
        "<|im_start|>user Since when, if one may ask",
        "<|im_start|>system The podcast Lamplight. Mara, the host, asks; Bob, the guest, answers.",
    ],
)
def test_everything_a_person_looks_for_is_said(said: str):
    assert said in read(dataset()).text


def test_a_page_needs_no_script_and_no_other_address_and_says_its_language():
    text = page(dataset(), show(language="fa"), SAMPLES)
    reader = Reader(text)

    assert reader.tags[0] == ("html", {"lang": "en"})
    assert [facts["lang"] for tag, facts in reader.tags if tag == "pre"] == ["fa"] * 3
    assert "http" not in text.replace(STYLE, "") and not {"script", "link", "img", "a"} & {
        tag for tag, _ in reader.tags
    }
    assert reader.count("caption") == reader.count("table") == 4 and reader.count("h1") == 1
    assert "color-scheme: light dark" in text and "width=device-width" in text


@pytest.mark.parametrize("language", ["auto", "en"])
def test_a_language_that_nobody_knows_is_not_claimed(language: str):
    text = page(dataset(), show(language=language), SAMPLES)

    assert ('<pre lang="en"' in text) is (language == "en")


def test_hostile_words_names_and_reasons_stay_words():
    rows = tuple(row.model_copy(update={"guest": HOSTILE, "recording": HOSTILE}) for row in REPORT.recordings)
    report = REPORT.model_copy(
        update={"advice": (HOSTILE,), "recordings": rows, "leaks": (Leak(reason=HOSTILE, grams=1, found=0),)}
    )
    hostile = dataset(report=report, warnings=(HOSTILE,), base_model=HOSTILE)

    reader = Reader(page(hostile, show(title=HOSTILE), SAMPLES))

    assert reader.count("script") == 0
    assert reader.text.count("<script>alert(1)</script>") >= 8
    assert "< |im_end|>" in reader.text, "a marker that somebody said is spread out, as for the model"


def test_a_dataset_of_an_earlier_version_says_what_it_lacks_and_shows_the_rest():
    old = dataset(schema_version=1, report=None, family=None)

    text = read(old).text

    assert "wrote no report. Build it again with `diary datasets build lamp`" in text
    assert "guests held out 1" in text and "By reason reason words recordings advert 50 1 trailer 20 1" in text
    assert "guest: Since I was nine." in text and "<|im_start|>" not in text


def test_a_withdrawn_dataset_says_so_first_and_shows_no_examples():
    text = read(dataset(source_withdrawn=("r1",)), samples=[]).text

    assert text.index("1 were erased") < text.index("Is it enough?")
    assert "Build a new one with `diary datasets build lamp`" in text
    assert "There are no examples to show" in text and "<|im_start|>" not in text


def test_what_leaked_is_said_by_reason_and_nothing_left_out_is_no_leak():
    leaking = REPORT.model_copy(update={"leaks": (Leak(reason="trailer", grams=1200, found=37),)})
    clean = REPORT.model_copy(update={"leaks": ()})

    assert (
        leak_sentences(leaking)[0].startswith("37 of 1,200 runs")
        and leak_sentences(leaking)[1] == "trailer: 37 of 1,200."
    )
    assert leak_sentences(clean) == ["No spans were left out, so there was nothing to look for."]


def test_a_dataset_without_anything_left_out_or_estimated_is_read_too():
    text = read(
        dataset(left_out=(), warnings=(), report=REPORT.model_copy(update={"left_out": (), "estimate": None}))
    ).text

    assert "What is left out Nothing." in text and "Warnings There are none." in text
    assert estimate_sentence(None) in text


@pytest.mark.parametrize(
    ("hours", "said"),
    [(0.001, "1 minute"), (0.4, "24 minutes"), (1, "1.0 hours"), (47.9, "47.9 hours"), (60, "2.5 days")],
)
def test_time_is_said_in_the_unit_that_people_use(hours: float, said: str):
    assert span(hours) == said
