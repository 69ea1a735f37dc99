"""What the container stack needs before its first start: `.env` and random secrets. `make env`; needs no packages.

`.env` is a copy of `.env.example` to edit. Each secret is a file of its own in `secrets/`, a folder that only its owner
may enter; the files themselves are readable, because a container reads them under another user. What is there stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BOOK = "tokens.json"
ROLES = {"admin": "admin", "viewer": "viewer", "studio": "admin"}


def prepare(root: Path, hf_token: str = "") -> list[str]:
    """Make what is missing below `root`; returns the names of what was made."""
    folder = root / "secrets"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    made = []
    if not (root / ".env").exists():
        write(root / ".env", (root / ".env.example").read_text(encoding="utf-8"), 0o600)
        made.append(".env")
    for name, value in wanted(folder, hf_token).items():
        stale = (name == "hf_token" and hf_token) or (name == BOOK and value != existing(folder / name))
        if stale or not (folder / name).exists():
            write(folder / name, value, 0o444)
            made.append(f"secrets/{name}")
    return made


def wanted(folder: Path, hf_token: str) -> dict[str, str]:
    """Each secret file with its content. The book holds the hashes of our tokens, and tokens that others put there."""
    tokens = {name: existing(folder / f"{name}_token") or f"diary_{secrets.token_urlsafe(32)}" for name in ROLES}
    return {
        "s3_access_key": secrets.token_hex(10),
        "s3_secret_key": secrets.token_urlsafe(32),
        **{f"{name}_token": token for name, token in tokens.items()},
        BOOK: json.dumps([*(entry(name, token) for name, token in tokens.items()), *others(folder / BOOK)], indent=1),
        "hf_token": hf_token,
    }


def entry(name: str, token: str) -> dict[str, str | None]:
    """As shared/tokens.py reads it: a token's hash, never the token."""
    return {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "role": ROLES[name], "show": None}


def others(book: Path) -> list[dict[str, str | None]]:
    return [token for token in json.loads(existing(book) or "[]") if token["name"] not in ROLES]


def existing(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all."""
    partial = path.with_name(f"{path.name}.part")
    partial.unlink(missing_ok=True)
    partial.touch(mode=mode | 0o200)
    partial.write_text(text, encoding="utf-8")
    partial.chmod(mode)
    partial.replace(path)


def main() -> int:
    made = prepare(ROOT, os.environ.get("HF_TOKEN", ""))
    print("made " + ", ".join(made) if made else "everything is there already")
    print("next: look into .env, then `docker compose up --detach --wait`")
    print("your token: secrets/admin_token")
    return 0


if __name__ == "__main__":
    sys.exit(main())
