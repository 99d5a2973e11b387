"""The rooms of the house: what may import what, and the map of them in CONTRIBUTING.md."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

from sopslab.layout import PROJECT
from tests.sources import tree_of

HOUSE = PROJECT / "sopslab"
# From the top down. A module imports from lower floors and from its own folder.
FLOORS = (
    ("cli",),
    ("run", "provision", "web", "room"),
    ("lab",),
    ("checks",),
    ("incidents", "validation", "cards", "gitserver"),
    ("config",),
    ("course", "files", "artifacts", "policy"),
    ("model",),
)
FLOOR = {folder: number for number, floor in enumerate(FLOORS) for folder in floor}
# The same inside the largest room. Its modules that are in no folder are above all of these, but
# for `beginning`, which runs on machines that have nothing else of ours yet.
LAB_FLOORS = (
    ("backups", "bundles", "support"),
    ("act",),
    ("incidents", "store"),
    ("observe",),
    ("tools",),
)
LAB_FLOOR = {folder: number for number, floor in enumerate(LAB_FLOORS) for folder in floor}
# The story and its steps are on the first floor, too, but nothing imports them.
STORIES = ("deploy.py", "deploys", "tasks")


def room(module: str) -> str | None:
    """Return the folder that holds one of our modules, or None if no folder holds it."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else None


def part_of_lab(module: str) -> str | None:
    """Return the folder inside the room `lab` that holds one of our modules, "" if it is in no
    folder there, or None if it is not of this room."""
    parts = module.split(".")
    if parts[1] != "lab" or len(parts) < 3 or parts[2] == "beginning":
        return None
    return parts[2] if parts[2] in LAB_FLOOR else ""


def imported(path: Path, part: Callable[[str], str | None] = room) -> set[str]:
    """Return the rooms from which a file imports, anywhere in it.

    + part: returns the part of the house that counts as a room here
    """
    found = set()
    for node in ast.walk(tree_of(path)):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        found |= {part(name) for name in names if name.startswith("sopslab.")}
    return {name for name in found if name is not None}


def first_sentence(folder: str) -> str:
    """Return the first line of a folder's docstring."""
    text = ast.get_docstring(tree_of(HOUSE / folder / "__init__.py")) or ""
    return text.partition("\n")[0]


def test_every_folder_is_on_a_floor() -> None:
    folders = {path.name for path in HOUSE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(FLOOR)
    assert len(FLOORS) <= 8


def test_imports_go_down_only() -> None:
    upward = {
        f"{path.relative_to(PROJECT)} imports from {other}"
        for folder, floor in FLOOR.items()
        for path in (HOUSE / folder).rglob("*.py")
        for other in imported(path) - {folder}
        if FLOOR[other] <= floor
    }
    assert upward == set()


def test_inside_the_lab_imports_go_down_only() -> None:
    lab = HOUSE / "lab"
    folders = {path.name for path in lab.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(LAB_FLOOR)
    upward = {
        f"{path.relative_to(PROJECT)} imports from {other or lab.name}"
        for folder, floor in LAB_FLOOR.items()
        for path in (lab / folder).rglob("*.py")
        for other in imported(path, part_of_lab) - {folder}
        if LAB_FLOOR.get(other, -1) <= floor
    }
    assert upward == set()


def test_what_is_in_no_folder_is_below_all_of_them() -> None:
    known = {"__main__.py": {"cli"}, "__init__.py": set(), "errors.py": set(), "layout.py": set()}
    assert {path.name: imported(path) for path in HOUSE.glob("*.py")} == known


def test_nothing_imports_a_story() -> None:
    stories = {Path(name).stem for name in STORIES}
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(tree_of(path)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & stories, path


def test_the_map_says_what_the_folders_say() -> None:
    rows = [
        f"| {number} | `{folder}/` | {first_sentence(folder)} |"
        for number, floor in enumerate(FLOORS, 1)
        for folder in floor
    ]
    text = (PROJECT / "CONTRIBUTING.md").read_text()
    shown = [line for line in text.splitlines() if line.startswith("| ") and "/` |" in line]
    assert shown == rows
