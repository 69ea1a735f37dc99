from pathlib import Path

from services.ingest import recipes
from services.ingest.audio import Limits, TrackFile
from shared.working_copy import FORMATS

LIMITS = Limits(max_bytes=10**9, max_duration_s=3600, min_duration_s=5, ffmpeg_limit_s=60)
FILES = {"working": Path("/w/out.flac"), "web": Path("/w/web.mp3")}
TRACKS = (TrackFile(original=Path("/w/-a")), TrackFile(original=Path("/w/b"), offset_s=2.5))
COMMANDS = (
    recipes.convert("ffmpeg", Path("/w/-upload"), **FILES, tags=Path("/w/tags"), limits=LIMITS),
    recipes.convert_track("ffmpeg", Path("/w/-upload"), FILES["working"], Path("/w/tags"), LIMITS),
    recipes.mix("ffmpeg", TRACKS, **FILES, limits=LIMITS),
)


def values(command: list[str], option: str) -> list[str]:
    return [command[at + 1] for at, argument in enumerate(command) if argument == option]


def test_ffmpeg_opens_local_files_that_are_named_and_no_playlist():
    for command in COMMANDS:
        inputs = values(command, "-i")
        assert inputs and all(name.startswith("file:/w/") for name in inputs)
        assert values(command, "-protocol_whitelist") == ["file,pipe"] * len(inputs)
        assert values(command, "-format_whitelist") == [FORMATS] * len(inputs)
        assert "-nostdin" in command
    assert not {"hls", "concat", "dash", "tty", "lavfi", "image2", "tedcaptions"} & set(FORMATS.split(","))


def test_each_option_stands_before_the_input_that_it_is_for():
    for command in COMMANDS:
        places = [at for at, argument in enumerate(command) if argument in ("-format_whitelist", "-i")]
        assert [command[at] for at in places] == ["-format_whitelist", "-i"] * (len(places) // 2)


def test_everything_that_is_written_has_an_end():
    for command in COMMANDS:
        sounds = [argument for argument in command if argument.endswith((".flac", ".mp3")) or argument == "pipe:1"]
        assert values(command, "-t") == ["3601.000"] * len(sounds)


def test_a_late_track_waits_to_the_sample_and_nothing_is_made_quieter():
    graph = values(COMMANDS[2], "-filter_complex")[0]

    assert "[0:a:0]" in graph and "adelay=delays=0S" in graph
    assert "[1:a:0]" in graph and "adelay=delays=110250S" in graph
    assert "amix=inputs=2:duration=longest:normalize=0" in graph


def test_the_web_rendition_names_nobody():
    for command in (COMMANDS[0], COMMANDS[2]):
        web = command[: command.index("file:/w/web.mp3")]
        assert values(web, "-map_metadata")[-1] == "-1" and values(web, "-b:a") == ["64k"]
        assert values(web, "-id3v2_version") == values(web, "-write_id3v1") == ["0"]
