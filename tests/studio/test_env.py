"""What `make env` makes, and that the services accept it."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from services.studio.machine.env import prepare
from services.studio.machine.local import ROOT
from shared.errors import NoTokenError
from shared.tokens import TokenBook


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".env.example").write_text("# settings\n")
    return tmp_path


def test_the_admin_token_opens_the_door(root: Path):
    prepare(root)

    secret = (root / "secrets" / "admin_token").read_text()
    token = TokenBook(root / "secrets" / "tokens.json").find(f"Bearer {secret}")

    assert (token.name, token.role) == ("admin", "admin")


def test_no_two_stacks_share_a_secret_and_none_is_in_the_settings(tmp_path: Path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / ".env.example").write_text("# settings\n")
        prepare(folder)

    for name in ("s3_access_key", "s3_secret_key", "admin_token", "studio_token", "viewer_token"):
        first, second = [(folder / "secrets" / name).read_text() for folder in folders]
        assert first != second and len(first) >= 20
        assert first not in (folders[0] / ".env").read_text()


def test_a_second_time_changes_nothing(root: Path):
    prepare(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    assert prepare(root) == []
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_lost_book_of_tokens_is_written_again_for_the_same_tokens(root: Path):
    prepare(root)
    secret = (root / "secrets" / "studio_token").read_text()
    (root / "secrets" / "tokens.json").unlink()

    assert prepare(root) == ["secrets/tokens.json"]
    assert TokenBook(root / "secrets" / "tokens.json").find(f"Bearer {secret}").name == "studio"


def test_a_lost_token_is_replaced_by_one_that_opens_the_door(root: Path):
    prepare(root)
    old = (root / "secrets" / "admin_token").read_text()
    (root / "secrets" / "admin_token").unlink()

    assert prepare(root) == ["secrets/admin_token", "secrets/tokens.json"]
    book = TokenBook(root / "secrets" / "tokens.json")
    assert book.find(f"Bearer {(root / 'secrets' / 'admin_token').read_text()}").name == "admin"
    with pytest.raises(NoTokenError):
        book.find(f"Bearer {old}")


def test_tokens_that_others_put_into_the_book_stay(root: Path):
    prepare(root)
    path = root / "secrets" / "tokens.json"
    ann = {"name": "ann", "sha256": "a" * 64, "role": "editor", "show": None}
    path.chmod(0o600)
    path.write_text(json.dumps([*json.loads(path.read_text()), ann], indent=1))

    prepare(root)

    assert ann in json.loads(path.read_text())


def test_a_folder_that_others_could_enter_is_closed(root: Path):
    (root / "secrets").mkdir(mode=0o755)

    prepare(root)

    assert stat.S_IMODE((root / "secrets").stat().st_mode) == 0o700


def test_a_token_of_the_hub_may_come_later(root: Path):
    prepare(root)

    assert prepare(root, hf_token="hf_abc") == ["secrets/hf_token"]
    assert (root / "secrets" / "hf_token").read_text() == "hf_abc"


def test_only_the_owner_enters_the_folder_and_containers_can_read_the_files(root: Path):
    prepare(root)

    assert stat.S_IMODE((root / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (root / "secrets").iterdir()} == {0o444}
    assert stat.S_IMODE((root / ".env").stat().st_mode) == 0o600


def test_it_makes_every_secret_that_compose_mounts(root: Path):
    prepare(root)

    mounted = set(re.findall(r"secrets}/([a-z0-9_.]+)", (ROOT / "compose.yaml").read_text()))
    assert mounted and mounted <= {path.name for path in (root / "secrets").iterdir()}
    assert json.loads((root / "secrets" / "tokens.json").read_text())


def test_it_needs_no_package():
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import runpy; runpy.run_path({str(ROOT / 'services/studio/machine/env.py')!r})",
        ]
    )

    assert done.returncode == 0
