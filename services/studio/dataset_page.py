"""A dataset as one HTML page that needs nothing else: is it enough, what is in it, what is not, how it reads. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from shared.families import as_text
from shared.schemas import Dataset, DatasetReport, Estimate, Example, Included, Leak, LeftOut, LeftOutTotal, Show

FIRST_ATTEMPT_CHUNKS = 323  # what the product's forerunner learnt from: a yardstick that its makers know
VERDICTS = {"no": "No.", "little": "A little.", "yes": "Yes."}  # the report's advice says why, and what to do
STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1.5rem auto; padding: 0 1rem; }
.verdict { font-size: 1.3rem; font-weight: bold; } .note { border-left: 4px solid; padding-left: .8rem; }
.wide { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; min-width: 50%; }
caption { text-align: left; font-weight: bold; padding: .3rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid; }
th { font-weight: normal; } thead th { font-weight: bold; } .number { text-align: right; white-space: nowrap; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid; padding: .8rem; font-size: .9rem; }
code { overflow-wrap: anywhere; }
""".strip()


@dataclass(frozen=True)
class Sample:
    """`about` says which example it is."""

    about: str
    example: Example


@dataclass(frozen=True)
class Column:
    title: str
    is_number: bool = False


def page(dataset: Dataset, show: Show, samples: Sequence[Sample]) -> str:
    """The page.

    samples   examples to read; none where the examples went with a recording that was erased
    """
    title = escape(f"Dataset {dataset.id} of {show.title}")
    body = "\n".join(_sections(dataset, show, samples))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _sections(dataset: Dataset, show: Show, samples: Sequence[Sample]) -> Iterable[str]:
    report = dataset.report
    if dataset.source_withdrawn:
        yield _note(withdrawn_sentence(dataset))
    if report is None:
        yield _note(without_report(dataset))
        yield _table("In numbers", *_rows(*counts(dataset)))
    else:
        yield f'<h2>Is it enough?</h2>\n<p class="verdict">{escape(VERDICTS[report.enough])}</p>'
        yield _list(report.advice)
        yield _table("In numbers", *_rows(*figures(dataset, report)))
        yield "<h2>What training would take</h2>"
        yield _paragraph(estimate_sentence(report.estimate))
        yield _table("What is in, by recording", *_included(report.recordings))
    yield "<h2>What is left out</h2>"
    yield from _left_out(dataset, report)
    if report is not None:
        yield "<h3>Is it out?</h3>"
        yield _list(leak_sentences(report))
    yield "<h2>Warnings</h2>"
    yield _list(dataset.warnings) if dataset.warnings else _paragraph("There are none.")
    yield "<h2>As the model sees it</h2>"
    yield from _samples(dataset, show, samples)


# ---- sentences: the command line says them too -----------------------------------------------------------------------


def withdrawn_sentence(dataset: Dataset) -> str:
    return (
        f"Of the recordings behind this dataset, {len(dataset.source_withdrawn):,} were erased, and all examples with "
        f"them: it cannot be trained on any more. Build a new one with `diary datasets build {dataset.show}`."
    )


def without_report(dataset: Dataset) -> str:
    return (
        "This dataset was built by an earlier version, which wrote no report. Build it again with "
        f"`diary datasets build {dataset.show}` to have one."
    )


def figures_sentence(report: DatasetReport) -> str:
    return (
        f"{report.hours:.1f} hours of talk with {_many(report.guests, 'guest')}: {report.words:,} words, "
        f"{report.tokens:,} tokens, {_many(report.examples, 'example')}."
    )


def estimate_sentence(estimate: Estimate | None) -> str:
    if estimate is None:
        return "Nothing is known of the device that would train: there is no estimate."
    memory = "computed again in the backward pass" if estimate.recompute else "kept"
    return (
        f"About {span(estimate.hours)} on {estimate.device} ({estimate.device_gb:g} GB): {estimate.method}, "
        f"{estimate.memory_gb:.1f} GB of memory with activations {memory}, {estimate.tokens_per_s:,.0f} tokens per "
        f"second, {estimate.epochs:g} epochs. Reckoned from shapes and typical speeds: nothing was measured yet."
    )


def leak_sentences(report: DatasetReport) -> list[str]:
    """How much of what was left out is in the examples all the same, one sentence per reason, the sum first."""
    if not report.leaks:
        return ["No spans were left out, so there was nothing to look for."]
    grams, found = sum(leak.grams for leak in report.leaks), sum(leak.found for leak in report.leaks)
    first = f"{found:,} of {grams:,} runs of 8 words of what was left out are in the examples all the same."
    return [first, *(_leak_sentence(leak) for leak in report.leaks)]


def _leak_sentence(leak: Leak) -> str:
    quoted = f" {leak.quoted:,} more are the interview's own words, which its trailer quotes." if leak.quoted else ""
    return f"{leak.reason}: {leak.found:,} of {leak.grams:,}.{quoted}"


def span(hours: float) -> str:
    """`25 minutes`, `3.5 hours`, `2.1 days`"""
    if hours < 1:
        return _many(max(1, round(hours * 60)), "minute")
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


# ---- parts -----------------------------------------------------------------------------------------------------------


def figures(dataset: Dataset, report: DatasetReport) -> list[tuple[str, str]]:
    """What it comes to, by name."""
    chunks = f"{report.examples:,} (the first attempt had {FIRST_ATTEMPT_CHUNKS} chunks)"
    return [
        ("hours of talk", f"{report.hours:.1f}"),
        ("words", f"{report.words:,}"),
        ("tokens", f"{report.tokens:,}"),
        ("examples", chunks),
        ("guests", f"{report.guests:,}, of whom {len(dataset.eval_guests):,} are held out to judge by"),
        ("learnt from", f"{dataset.loss_on}: {report.supervised_share:.0%} of the tokens"),
        ("tokens per example, at most", f"{dataset.max_length:,}; packed together they are {report.fill:.0%} full"),
        ("short words of a listener, folded in", f"{report.backchannels:,}"),
        ("ums and uhs that were dropped", f"{report.fillers:,}"),
        ("base model", f"{dataset.base_model}@{dataset.base_revision[:12]}"),
    ]


def counts(dataset: Dataset) -> list[tuple[str, str]]:
    """The same of a dataset without a report."""
    return [
        ("examples to train on", f"{dataset.train_examples:,}"),
        ("examples held out", f"{dataset.eval_examples:,}"),
        ("tokens", f"{dataset.tokens:,}"),
        ("guests to train on", f"{len(dataset.train_guests):,}"),
        ("guests held out", f"{len(dataset.eval_guests):,}"),
        ("base model", f"{dataset.base_model}@{dataset.base_revision[:12]}"),
    ]


def _rows(*pairs: tuple[str, str]) -> tuple[list[Column], list[list[str]]]:
    return [Column("what"), Column("how much")], [list(pair) for pair in pairs]


def _included(recordings: Sequence[Included]) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("recording"), Column("guest"), Column("transcript"), Column("checked"), Column("used to")]
    columns += [Column(title, is_number=True) for title in ("examples", "tokens", "minutes")]
    return columns, [_included_row(one) for one in recordings]


def _included_row(one: Included) -> list[str]:
    names = [one.recording, one.guest, one.transcript, one.state.value, "judge by" if one.held_out else "train on"]
    return [*names, f"{one.examples:,}", f"{one.tokens:,}", f"{one.talk_s / 60:.0f}"]


def _left_out(dataset: Dataset, report: DatasetReport | None) -> Iterable[str]:
    if not dataset.left_out:
        yield _paragraph("Nothing.")
        return
    words = Column("words", is_number=True)
    total = sum(one.words for one in dataset.left_out)
    yield _paragraph(f"{total:,} words.")
    totals = report.left_out if report is not None else totals_of(dataset.left_out)
    columns = [Column("reason"), words, Column("recordings", is_number=True)]
    yield _table("By reason", columns, [[one.reason, f"{one.words:,}", f"{one.recordings:,}"] for one in totals])
    rows = [[one.recording, one.reason, f"{one.words:,}"] for one in dataset.left_out]
    table = _table("By recording", [Column("recording"), Column("reason"), words], rows)
    yield f"<details>\n<summary>By recording</summary>\n{table}\n</details>"


def totals_of(left_out: Sequence[LeftOut]) -> list[LeftOutTotal]:
    """By reason, the most words first."""
    words: Counter[str] = Counter()
    recordings: dict[str, set[str]] = defaultdict(set)
    for one in left_out:
        words[one.reason] += one.words
        recordings[one.reason].add(one.recording)
    return [
        LeftOutTotal(reason=why, words=count, recordings=len(recordings[why])) for why, count in words.most_common()
    ]


def _samples(dataset: Dataset, show: Show, samples: Sequence[Sample]) -> Iterable[str]:
    if not samples:
        yield _paragraph("There are no examples to show: they are not stored any more.")
    language = f' lang="{escape(show.language)}"' if show.language != "auto" else ""
    for sample in samples:
        example = sample.example
        yield f"<h3>{escape(sample.about)}</h3>"
        yield _paragraph(
            f"Recording {example.recording}, guest {example.guest}: {example.tokens:,} tokens, of which "
            f"{example.supervised_tokens:,} are learnt."
        )
        yield f'<pre{language} dir="auto">{escape(as_seen(example, dataset.family))}</pre>'


def as_seen(example: Example, family: str | None) -> str:
    """With the markers of the family; of a dataset that does not name one, who says what."""
    if family is not None:
        return as_text(example.messages, family)
    return "\n".join(f"{message.role}: {message.text}" for message in example.messages)


# ---- HTML ------------------------------------------------------------------------------------------------------------


def _table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """The first cell of a row is its heading; a table that is too wide for the screen scrolls by itself."""
    head = "".join(f'<th scope="col"{_class(column)}>{escape(column.title)}</th>' for column in columns)
    body = "\n".join(f"<tr>{_cells(columns, row)}</tr>" for row in rows)
    name = escape(caption)
    return (
        f'<div class="wide" role="region" aria-label="{name}" tabindex="0">\n<table>\n<caption>{name}</caption>\n'
        f"<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _cells(columns: Sequence[Column], row: Sequence[str]) -> str:
    first = f'<th scope="row">{escape(row[0])}</th>'
    others = zip(columns[1:], row[1:], strict=True)
    return first + "".join(f"<td{_class(column)}>{escape(text)}</td>" for column, text in others)


def _class(column: Column) -> str:
    return ' class="number"' if column.is_number else ""


def _list(sentences: Iterable[str]) -> str:
    items = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>\n{items}\n</ul>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'
