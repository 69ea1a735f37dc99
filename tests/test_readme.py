"""README.md's tree names every module and folder, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from services.studio.machine.local import ROOT, SERVICES

FOLDER = re.compile(r"(\S+/)\s")
FILE = re.compile(r"(?:[\w./-]+\.(?:py|mk|yaml|toml|txt|md|example)|Makefile|Caddyfile|Dockerfile)\b")
OF_EVERY_SERVICE = "every service"
MADE = {"secrets", "dist"}


def tree() -> list[str]:
    return (ROOT / "README.md").read_text().split("## The tree\n\n```\n")[1].split("```")[0].splitlines()


def named() -> set[Path]:
    """Folders, and files: those of an indented line, or of the folder's own, are in the folder last named."""
    found, folder = set(), ROOT
    for line in tree():
        heading = FOLDER.match(line)
        if heading or not line.startswith(" "):
            folder = ROOT / heading.group(1) if heading else ROOT
            found.add(folder)
        files = FILE.findall(line)
        if line.startswith(OF_EVERY_SERVICE):
            found |= {ROOT / "services" / service / name for service in SERVICES for name in files}
        else:
            found |= {folder / name for name in files}
    return found


def told(paths: set[Path]) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def test_every_module_is_in_the_tree():
    modules = {*ROOT.glob("services/**/*.py"), *ROOT.glob("shared/**/*.py")}

    assert not told({path for path in modules if path.name != "__init__.py"} - named())


def test_every_folder_is_in_the_tree():
    folders = {path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    tops = {ROOT / path.relative_to(ROOT).parts[0] for path in named() - {ROOT}}

    assert not told({path for path in folders if path.name not in MADE} - tops)


def test_everything_in_the_tree_is_there():
    assert not told({path for path in named() if not path.exists()})
