"""Repeated spans: found although they are misheard, apart although they touch, called what people called them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared import classifications, published
from shared.corrections import Classification, Cluster
from shared.repeats import Said, find, guess, said_in
from shared.schemas import HostMethod, Lineage, Role, Speaker, Transcript, Turn, Word
from tests import bench_repeats

EXAMPLES = Path(__file__).parents[2] / "examples"
ADVERT = (
    "This show is brought to you by Puddle Socks, the warm wool socks that dry while you walk. Every pair is made to "
    "last ten winters, and if a toe comes through, they send a new one free. Use the code lamp at checkout."
)
LINEAGE = Lineage(by="tests", version="0", job="job-0", actor="tester")


def transcript(recording: str, *turns: str | Turn, revision: str = "rev") -> Transcript:
    """Turns as texts take a second a word, one after the other."""
    made: list[Turn] = []
    for text in turns:
        start_s = made[-1].end_s if made else 0.0
        if isinstance(text, str):
            end_s = start_s + len(text.split())
            text = Turn(speaker="S1", role=Role.HOST, start_s=start_s, end_s=end_s, text=text)
        made.append(text)
    return Transcript(
        id=revision,
        recording=recording,
        show="lamp",
        kind="machine",
        speakers=(Speaker(label="S1", role=Role.HOST),),
        host_method=HostMethod.SET,
        turns=tuple(made),
        lineage=LINEAGE,
    )


def babble(recording: str, words: int = 60) -> str:
    return " ".join(f"{recording}x{number}" for number in range(words))


def talks(*texts: str, recordings: int = 4) -> list[Said]:
    """Recordings of babble that each hold the texts, with babble between them."""
    names = [f"r{number}" for number in range(recordings)]
    return [
        said_in(
            transcript(name, babble(name), *(turn for text in texts for turn in (text, babble(f"{name}{text[:2]}"))))
        )
        for name in names
    ]


def texts_at(cluster: Cluster, said: Sequence[Said]) -> set[str]:
    words = {one.recording: one.words for one in said}
    return {" ".join(words[place.recording][place.first_word : place.last_word]) for place in cluster.places}


def script(path: Path) -> Said:
    """All that is said in a script of the demo, its adverts and trailers too."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    turns = published.parse(text).turns
    return said_in(transcript(path.stem, *(turn.text for turn in turns)))


SPOKEN = sorted(EXAMPLES.glob("spoken/*.txt"))
ALL = [*SPOKEN, *sorted(EXAMPLES.glob("published/*"))]


@pytest.mark.parametrize(("paths", "adverts"), [(SPOKEN, 4), (ALL, 7)], ids=["spoken", "all"])
def test_the_demos_sponsor_read_is_one_cluster_and_its_greeting_another(paths: list[Path], adverts: int):
    said = [script(path) for path in paths]

    found = {cluster.text.split(",")[0]: cluster for cluster in find(said)}

    assert {name: (cluster.guess, len(cluster.places)) for name, cluster in found.items()} == {
        "This show is brought to you by Puddle Socks": ("advert", adverts),
        "Welcome back to The Lamplight Hour": ("greeting", len(paths)),
        "Last question": ("closing", len(paths)),
        "This has been The Lamplight Hour. Mind the step": ("closing", len(paths)),
    }
    assert all(len(texts_at(cluster, said)) == 1 for cluster in found.values()), "each place is the text, to the word"


def test_a_place_has_words_seconds_and_its_revision():
    said = talks(ADVERT)

    (cluster,) = find(said)

    length = len(ADVERT.split())
    place = cluster.places[0]
    assert (cluster.text, cluster.words, cluster.kind) == (ADVERT, length, None)
    assert (place.recording, place.transcript) == ("r0", "rev")
    assert (place.first_word, place.last_word) == (60, 60 + length)
    assert (place.start_s, place.end_s) == (60.0, 60.0 + length)


def test_seconds_are_those_of_the_words_where_they_have_times():
    timed = tuple(Word(text=word, start_s=100 + at, end_s=100.5 + at) for at, word in enumerate(ADVERT.split()))
    turn = Turn(speaker="S1", role=Role.HOST, start_s=90, end_s=200, text=ADVERT, words=timed)
    said = [*talks(ADVERT), said_in(transcript("r9", turn))]

    (cluster,) = find(said)

    place = next(place for place in cluster.places if place.recording == "r9")
    assert (place.start_s, place.end_s) == (100.0, 100.5 + len(timed) - 1)


def test_writing_does_not_matter():
    said = talks(ADVERT)
    loud = said_in(transcript("r9", babble("r9"), ADVERT.upper().replace(",", " --")))

    (cluster,) = find([*said, loud])

    assert len(cluster.places) == 5


def test_words_that_are_misheard_tear_nothing_apart():
    def misheard(*places: int) -> str:
        return " ".join("hm" if at in places else word for at, word in enumerate(ADVERT.split()))

    reads = [misheard(1), misheard(9, 22), misheard(0, 17, 30), misheard(5, 12, 36), misheard(2, 35)]
    said = [said_in(transcript(f"r{at}", babble(f"r{at}"), read, babble(f"s{at}"))) for at, read in enumerate(reads)]

    (cluster,) = find(said)

    assert len(cluster.places) == 5
    assert all(place.first_word in (60, 61, 63) for place in cluster.places)
    assert all(place.last_word >= 60 + len(ADVERT.split()) - 4 for place in cluster.places)


def test_texts_that_are_said_back_to_back_here_and_there_are_two_clusters():
    greeting = "Good evening and welcome to the hour of the lamp"
    apart = talks(greeting, ADVERT, recordings=4)
    touching = [said_in(transcript(name, f"{ADVERT} {greeting} {babble(name)}")) for name in ("t1", "t2", "t3")]

    clusters = find([*apart, *touching])

    assert sorted(cluster.text for cluster in clusters) == sorted([ADVERT, greeting])
    assert [len(cluster.places) for cluster in clusters] == [7, 7]
    assert all(texts_at(cluster, [*apart, *touching]) == {cluster.text} for cluster in clusters)


def test_the_answers_first_words_are_no_part_of_a_question_that_is_always_asked():
    question = "What would you leave a light on for"
    said = [said_in(transcript(f"r{at}", babble(f"r{at}"), question, f"For the {babble(f's{at}')}")) for at in range(4)]

    (cluster,) = find(said)

    assert texts_at(cluster, said) == {question}


@pytest.mark.parametrize(
    ("text", "having", "of", "found"),
    [
        (ADVERT, 3, 9, 1),
        (ADVERT, 2, 9, 0),
        (ADVERT, 2, 2, 1),
        ("so tell me now how it all began", 5, 9, 1),
        ("so tell me now how it all began", 4, 9, 0),
        ("so tell me now how it", 9, 9, 0),
    ],
    ids=["three", "a quote", "a show of two", "in most", "in some", "everyday speech"],
)
def test_what_counts_as_repeated(text: str, having: int, of: int, found: int):
    said = [
        said_in(transcript(f"r{at}", babble(f"r{at}"), text if at < having else "hm", babble(f"s{at}")))
        for at in range(of)
    ]

    assert len(find(said)) == found


def test_nothing_is_found_in_nothing():
    assert find([]) == ()
    assert find([said_in(transcript("r1")), said_in(transcript("r2", "-- ..."))]) == ()


def test_a_real_conversation_repeats_nothing():
    panel = Path(__file__).parents[3] / "shared" / "transcripts" / "nasa-hwhap193-panel.txt"
    if not panel.exists():
        pytest.skip(f"the real panel transcript is not on this machine ({panel.name})")
    words = panel.read_text().split()

    pieces = [" ".join(words[at : at + 450]) for at in range(0, len(words), 450)]

    assert find([said_in(transcript(f"r{at:02}", piece)) for at, piece in enumerate(pieces)]) == ()


@pytest.mark.parametrize(
    ("text", "place", "kind"),
    [
        ("get ten percent off at checkout", 0.5, "advert"),
        ("brought to you by nobody", 0.0, "advert"),
        ("good evening and welcome", 0.01, "greeting"),
        ("thank you and good night", 0.95, "closing"),
        ("tell me how it began", 0.5, None),
    ],
)
def test_what_a_span_seems_to_be(text: str, place: float, kind: str | None):
    (cluster,) = find(talks(ADVERT))
    first = round(place * 1000)
    places = [cluster.places[0].model_copy(update={"first_word": first, "last_word": first + 5})]

    assert guess(text, places, {"r0": 1000}) == kind


# ---- what people said of them ----------------------------------------------------------------------------------------

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def word_for(cluster: Cluster, kind: str, days: int = 0) -> Classification:
    facts = {"id": f"{cluster.id[:8]}{days}", "show": "lamp", "grams": cluster.grams, "by": "ann"}
    return Classification.model_validate({**facts, "kind": kind, "at": NOW + timedelta(days=days)})


def test_a_cluster_stays_itself_when_recordings_are_added_in_any_order():
    few, many = talks(ADVERT, recordings=4), talks(ADVERT, recordings=9)

    (before,), (after,), (turned,) = find(few), find(many), find(many[::-1])

    assert before.id == after.id
    assert turned == after


def test_a_classification_finds_its_cluster_again_in_other_reads():
    (before,) = find(talks(ADVERT))
    words = ADVERT.split()
    words[4:6], words[20:22] = ["from", "our"], ["will", "see"]
    (after,) = find(talks(" ".join(words)))

    (found,) = classifications.classified([after], [word_for(before, "advert")])

    assert before.grams != after.grams and found.kind == "advert"


def test_a_text_that_grew_by_more_than_itself_is_another_one():
    (greeting,) = find(talks("Good evening and welcome to the hour of the lamp"))
    (longer,) = find(talks(f"Good evening and welcome to the hour of the lamp {ADVERT}"))

    (found,) = classifications.classified([longer], [word_for(greeting, "greeting")])

    assert found.kind is None, "nobody has seen the advert in it"


def test_the_latest_word_holds():
    (cluster,) = find(talks(ADVERT))

    found = classifications.classified([cluster], [word_for(cluster, "keep", days=1), word_for(cluster, "advert")])

    assert [one.kind for one in found] == ["keep"]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (None, "repeated span, unclassified"),
        ("advert", "advert, classified by a person"),
        ("trailer", "trailer, classified by a person"),
        ("greeting", None),
        ("closing", None),
        ("keep", None),
    ],
)
def test_talk_is_trained_on_and_the_rest_stays_out(kind: str | None, why: str | None):
    (cluster,) = find(talks(ADVERT))

    assert classifications.why_left_out(cluster.model_copy(update={"kind": kind})) == why


# ---- at scale --------------------------------------------------------------------------------------------------------


def test_the_benchmark_at_a_small_size_finds_what_was_planted():
    made_up = bench_repeats.make_up(words=120_000, recordings=40, noise=0.06)

    score = bench_repeats.score(made_up, find(made_up.said))

    assert made_up.words >= 120_000
    assert score.pure and score.false_words <= 10
    assert score.adverts_found == 1.0 and score.found >= 0.9 and score.covered >= 0.95
