"""The step `Artifacts` on a fake host: which operations run, given the state of the store."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.deploy import add_deploy
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.connectors.fake import FakeConnector

from sopslab.artifacts.catalog import Catalog, load_catalog
from sopslab.config.settings import Settings, load_settings
from sopslab.lab.observe.machine import machine_state
from sopslab.model.store import Source, Store
from sopslab.model.wire import encode
from sopslab.provision.operations.artifact import PACKERS
from tasks.artifacts import provide_artifacts
from tests.conftest import defaults
from tests.fake import REFUSAL, machine_look_text, recorded
from tests.machines import MACHINE, said, stored

ROOT = Path(__file__).resolve().parents[2]
# Parts of the commands' texts by which a fake host recognises them.
LOOK, PROBE, GO = "observe.store.store_state", "observe.store.answers", "observe.store.go_version"
BARE = said(Store())
AT_ROOT = machine_look_text(machine_state, root="/srv/lab root", commands=[])
REFUSING = {REFUSAL: {"success": False}}
# Enough for what is fetched, and not for what is built.
LITTLE_DISK = {AT_ROOT: said(replace(MACHINE, disk_kib=5 << 20))}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(ROOT / "artifacts" / "catalog.yaml")


def settings(source: str = "auto") -> Settings:
    mirrors = {"releases": "https://releases.example", "kubernetes": "https://k.example"}
    return load_settings(
        {**defaults(), "root": "/srv/lab root", "artifact_source": source, "mirrors": mirrors}
    )


def store(
    catalog: Catalog,
    filled_from: Source = "modules",
    *,
    without: tuple[str, ...] = (),
    spoilt: tuple[str, ...] = (),
    **more: Any,
) -> str:
    """Return the state of a filled store, except for entries that are missing or were changed."""
    return said(replace(stored(catalog, filled_from, without, spoilt), **{"source": "", **more}))


class Run:
    """What a run of the step did on the fake host."""

    def __init__(self, responses: Mapping[str, Any], source: str = "auto") -> None:
        offers = {
            machine_look_text(machine_state, root="/", commands=PACKERS): said(MACHINE),
            AT_ROOT: said(MACHINE),
        }
        answers = {**offers, **responses}
        data = {"fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": answers}
        inventory = Inventory(([("@fake/seat", data)], {}))
        state = State(inventory, Config(), check_for_changes=False)
        state.cwd = str(ROOT)
        state.set_stage(StateStage.Connect)
        connect_all(state)
        state.set_stage(StateStage.Prepare)
        add_deploy(state, provide_artifacts, settings(source))
        state.set_stage(StateStage.Execute)
        with recorded() as given, contextlib.suppress(PyinfraError):
            self.failed = True
            run_ops(state)
            self.failed = False
        # Orders to the lab's own program.
        self.given: list[tuple[str, dict[str, Any]]] = []
        for one in given:
            if "sopslab.lab" in one.command and one.stdin:
                words = shlex.split(one.command)
                what = words[words.index("sopslab.lab") + 1]
                self.given.append((what, json.loads(one.stdin)))
        host = inventory.get_host("@fake/seat")
        assert isinstance(host.connector, FakeConnector)
        self.commands: list[str] = host.connector.executed_commands
        self.changed = [
            name.removeprefix("Artifacts | ")
            for key in state.get_op_order()
            if (meta := state.ops[host][key].operation_meta).is_complete() and meta.did_change()
            for name in state.op_meta[key].names
        ]
        state.set_stage(StateStage.Disconnect)
        disconnect_all(state)

    def orders(self, recipe: str = "store.") -> list[dict[str, Any]]:
        """Return the orders to all recipes, or to those of one module."""
        return [order for what, order in self.given if what.startswith(recipe)]

    def looks(self) -> int:
        return sum(LOOK in command for command in self.commands)


@pytest.mark.parametrize("source", ["modules", "upstream"])
def test_a_complete_store_is_looked_at_once_and_nothing_else_is_run(
    catalog: Catalog, source: Any
) -> None:
    run = Run({LOOK: store(catalog, source)})
    assert run.changed == []
    assert len(run.commands) == run.looks() == 1


@pytest.mark.parametrize("source", ["auto", "bundle"])
@pytest.mark.parametrize("loaded", ["modules", "upstream"])
def test_of_a_bundle_that_was_loaded_the_images_are_assembled_and_no_network_is_asked(
    catalog: Catalog, loaded: Any, source: str
) -> None:
    run = Run({LOOK: store(catalog, loaded, bundle=loaded, images={}, links={})}, source)
    assert run.changed == [
        "Assemble the Git server's image", "Assemble the node image", "Link the tools",
    ]  # fmt: skip
    assert not [command for command in run.commands if PROBE in command]
    assert {what.rpartition(".")[0] for what, _ in run.given} == {
        "store.git_image", "store.node_image", "act.tools",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "no bundle was loaded on this machine: `sopslab bundle load FILE`"),
        ({"bundle": "modules", "without": ("sops",)}, "sops-3.13.3 is missing, and the bundle"),
    ],
    ids=["none", "older"],
)
def test_without_all_of_a_bundle_the_step_is_refused(
    more: dict[str, Any], said: str, catalog: Catalog
) -> None:
    run = Run({LOOK: store(catalog, **more), GO: "[]", **REFUSING}, "bundle")
    assert run.failed
    assert said in run.commands[-1]
    assert run.given == []


def test_one_missing_entry_is_built_and_no_other(catalog: Catalog) -> None:
    found = store(catalog, without=("sops",), source="modules")
    run = Run({LOOK: found, GO: said((1, 27, 0))})
    (order,) = run.orders()
    assert run.changed == [
        "Build sops 3.13.3, flux 2.9.3, source-controller 1.9.3, kustomize-controller 1.9.4, "
        "notification-controller 1.9.2"
    ]
    assert [entry["name"] for entry in order["entries"]] == ["sops"]
    assert order["plan"]["embed"] is None
    assert order["sources"]["modules"] == {"kubernetes": catalog.modules["kubernetes"]}


def test_a_tool_with_another_sum_is_replaced(catalog: Catalog) -> None:
    found = store(catalog, spoilt=("age",), source="modules")
    run = Run({LOOK: found, GO: said((1, 26, 8))}, "modules")
    assert run.changed == ["Build age 1.3.2"]


def test_an_image_that_was_pruned_is_assembled_from_the_store(catalog: Catalog) -> None:
    run = Run({LOOK: store(catalog, images={})})
    assert run.changed == ["Assemble the Git server's image", "Assemble the node image"]
    assert [order["image"] for order in run.orders()] == [catalog.git_tag, catalog.node_tag]
    images = [catalog.image(role, "modules", "amd64") for role in ("git", "node")]
    for image, order in zip(images, run.orders(), strict=True):
        assert (order["labels"], order["plan"]) == (image.labels, encode(image.plan))


def test_a_link_that_leads_elsewhere_is_set_right(catalog: Catalog) -> None:
    links = {tool: f"../store/{path}" for tool, path in catalog.tools("modules", "amd64").items()}
    run = Run({LOOK: store(catalog, links={**links, "sops": "/usr/bin/sops"})})
    assert run.changed == ["Link the tools"]
    (order,) = run.orders("act.tools.link")
    assert order["links"] == {"sops": "../store/sops-3.13.3/bin/sops"}


def test_caches_go_when_the_store_is_complete_and_stay_while_it_is_not(catalog: Catalog) -> None:
    run = Run({LOOK: store(catalog, cache=("go-build", "go-mod"))})
    assert run.changed == ["Remove the build caches"]
    found = store(catalog, cache=("go-build",), without=("age",), source="modules")
    run = Run({LOOK: found}, "modules")
    assert "Remove the build caches" not in run.changed


def test_release_pages_that_answer_are_chosen(catalog: Catalog) -> None:
    run = Run({LOOK: BARE, PROBE: "true"})
    assert "Fetch sops 3.13.3" in run.changed
    assert not [name for name in run.changed if name.startswith("Build")]
    orders = {order["entry"]["name"]: order for order in run.orders() if "entry" in order}
    assert orders["sops"]["url"].startswith("https://releases.example/getsops/sops/")
    assert orders["kubectl"]["url"].startswith("https://k.example/release/v1.37.0/")
    assert orders["kubernetes"]["reference"].startswith("docker.io/kindest/node@sha256:")


def test_a_closed_network_leads_to_go_modules(catalog: Catalog) -> None:
    run = Run({LOOK: said(Store("arm64")), PROBE: "false", GO: said((1, 26, 8))})
    assert "Build age 1.3.2" in run.changed
    assert not [name for name in run.changed if name.startswith(("Fetch", "Pull", "Provide"))]
    assert {order["sources"]["arch"] for order in run.orders() if "sources" in order} == {"arm64"}


@pytest.mark.parametrize(
    ("source", "filled_from"), [("auto", ""), ("auto", "modules"), ("modules", "")]
)
def test_a_disk_that_is_too_small_to_build_is_refused_before_anything_is_downloaded(
    source: str, filled_from: str
) -> None:
    found = said(Store(source=filled_from))
    run = Run({LOOK: found, PROBE: "false", **LITTLE_DISK, **REFUSING}, source)
    assert run.failed
    assert "5.0 GiB disk free, 20.0 GiB needed" in run.commands[-1]
    assert (run.changed, run.given) == ([], [])


def test_what_is_fetched_and_what_is_built_in_part_needs_less_of_the_disk(catalog: Catalog) -> None:
    run = Run({LOOK: BARE, PROBE: "true", **LITTLE_DISK, **REFUSING})
    assert "Fetch sops 3.13.3" in run.changed
    goes_on = {GO: said((1, 26, 8)), **LITTLE_DISK, **REFUSING}
    for begun in (
        store(catalog, without=("kind",), source="modules"),
        said(Store(source="modules", cache=("go-mod",))),
    ):
        assert "Build kind 0.33.0" in Run({LOOK: begun, **goes_on}).changed


def test_root_file_systems_are_begun_while_programs_are_built(catalog: Catalog) -> None:
    run = Run({LOOK: BARE, GO: said((1, 26, 8))}, "modules")
    assert run.changed[0] == "Begin the root file systems"
    (order,) = run.orders("store.rootfs.begin")
    wanted = ["netfilter-rootfs", "node-rootfs", "git-rootfs"]
    assert [entry["name"] for entry in order["entries"]] == wanted
    made = run.orders("store.rootfs.make")
    begun = zip(order["plans"], order["entries"], strict=True)
    assert [(one["plan"], one["entry"]) for one in made] == list(begun)


@pytest.mark.parametrize("version", [(), (1, 26, 7), (1, 9)])
def test_a_toolchain_is_fetched_where_go_is_missing_or_old(
    catalog: Catalog, version: tuple[int, ...]
) -> None:
    run = Run({LOOK: BARE, GO: said(version)}, "modules")
    assert run.changed[0] == "Provide a Go toolchain"


def test_a_store_that_was_begun_from_modules_goes_on_without_a_probe(catalog: Catalog) -> None:
    found = store(catalog, without=("kind",), source="modules")
    run = Run({LOOK: found, GO: said((1, 26, 8))})
    assert run.changed == ["Build kind 0.33.0"]
    assert not [command for command in run.commands if PROBE in command]


def test_what_fails_ends_the_step(catalog: Catalog) -> None:
    failing = {"store.programs.build": {"success": False}}
    run = Run({LOOK: BARE, GO: said((1, 26, 8)), **failing}, "modules")
    assert run.failed
    assert len(run.orders("store.programs.build")) == 1


def test_values_reach_the_host_quoted(catalog: Catalog) -> None:
    run = Run({LOOK: BARE, PROBE: "true"})
    scripts = [command for command in run.commands if "sopslab.lab" not in command]
    assert scripts and all("'/srv/lab root'" in command for command in scripts)


def test_root_file_systems_are_refused_in_a_sentence_where_there_is_no_apt(
    catalog: Catalog,
) -> None:
    fedora = machine_look_text(machine_state, root="/", commands=PACKERS)
    answers = {LOOK: store(catalog, without=("node-rootfs",), source="modules")}
    run = Run(
        {
            **answers,
            fedora: said(replace(MACHINE, manager="dnf")),
            **REFUSING,
        }
    )
    assert run.failed
    assert "set `artifact_source: upstream`" in run.commands[-1]
    # With the source upstream, no artifact is made from this machine's packages.
    upstream = store(catalog, "upstream", without=("git-rootfs",))
    run = Run({LOOK: upstream, fedora: said(replace(MACHINE, manager="dnf"))}, "upstream")
    assert not run.failed and run.changed[0] == "Make git-rootfs from an image"
