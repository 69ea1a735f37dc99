"""`make update-ytdlp`: which pins it lets go, and what it makes again."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OF_YT_DLP = {"yt-dlp", "yt-dlp-ejs", "brotli", "mutagen", "pycryptodomex", "websockets"}


def test_only_yt_dlp_may_change_and_only_ingest_is_made_again():
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", "update-ytdlp"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace("\\\n", " ")

    compiled = [line.split() for line in told.split(";") if " pip compile " in line]
    made = {word.strip('"') for word in told.split() if word.startswith(".venvs/") and "/" not in word[7:]}
    assert [words[words.index("--extra") + 1] for words in compiled] == ["ingest", "dev"]
    for words in compiled:
        assert {name for flag, name in pairwise(words) if flag == "--upgrade-package"} == OF_YT_DLP
    assert made == {".venvs/uv", ".venvs/ingest"} and "docker compose build ingest" in told
    pins = (ROOT / "services" / "ingest" / "requirements.txt").read_text().splitlines()
    assert {line.split("==")[0] for line in pins} >= OF_YT_DLP
