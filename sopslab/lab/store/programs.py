"""Programs built from a Go module of ours, whose go.mod and go.sum pin everything."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.store.bench import Bench, bench
from sopslab.lab.store.edits import edit
from sopslab.lab.store.go import Go
from sopslab.lab.store.trees import copy_tree
from sopslab.model.recipes import Embed, GoSources, ProgramsPlan
from sopslab.model.store import Entry


def build(lab: Lab, plan: ProgramsPlan, entries: list[Entry], sources: GoSources) -> None:
    """Fill entries of the store with programs."""
    with bench(lab, "go") as place:
        go = Go(place, sources)
        module = go.module(plan.module)
        edit(go, module, plan.edits)
        if plan.embed is not None:
            _embed(place, go, module, plan.embed)
        built = place.folder / "out"
        built.mkdir()
        packages = [name for programs in plan.programs.values() for name in programs.values()]
        go.run(
            module, "build", "-trimpath", "-buildvcs=false", "-tags", plan.tags,
            # No debug information is compiled only to be stripped by the linker: a sixth of the
            # time.
            "-gcflags=all=-dwarf=false", "-ldflags", f"-s -w {plan.ldflags}",
            "-o", f"{built}/", *packages,
            otherwise="Go could not build"
            f" {', '.join(f'{entry.name} {entry.version}' for entry in entries)}: see above",
        )  # fmt: skip
        for entry in entries:
            folder = place.folder / "entry"
            (folder / "bin").mkdir(parents=True)
            for file, package in plan.programs[entry.name].items():
                (built / _program(package)).rename(folder / "bin" / file)
            place.publish(folder, entry)


def _embed(place: Bench, go: Go, module: Path, embed: Embed) -> None:
    """Have files that a program embeds in a writable copy of its module."""
    copy = place.folder / "embed"
    copy_tree(go.folder_of(embed.package, module), copy)
    (copy / embed.into).mkdir(parents=True, exist_ok=True)
    for file in (place.store / embed.source).iterdir():
        shutil.copyfile(file, copy / embed.into / file.name)
    go.run(module, "mod", "edit", "-replace", f"{embed.module}={copy}")


def _program(package: str) -> str:
    """Return what Go calls a program: its folder's name, but not the v2 of a major version."""
    *_, parent, name = f"/{package}".split("/")
    return parent if re.fullmatch(r"v\d+", name) else name
