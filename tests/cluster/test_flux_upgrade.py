"""An upgrade of Flux: `up` replaces what an older product installed, and the learner keeps all.

The older product is this one, except for what its `flux install --export` prints. The definitions
and flags of a controller are those of its newest earlier minor version that the Go module proxy
lists, and all labels name the minor version of Flux before the pinned one. A controller without an
earlier version on the proxy keeps its definitions. The images are the pinned ones: building others
takes longer than all tests together.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.errors import Exit
from sopslab.layout import KUSTOMIZATION, NAMESPACE, PROJECT
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.conftest import find_tool
from tests.texts import replaced

pytestmark = [pytest.mark.soak]

CONTROLLERS = ("source-controller", "kustomize-controller", "notification-controller")
EXPORT = ("install", "--export", f"--components={','.join(CONTROLLERS)}")
GOTK = "flux/clusters/lab/flux-system/gotk-components.yaml"
VERSION = "app.kubernetes.io/version"
# The files and folders from which a product runs.
PRODUCT = (
    *("artifacts", "deploys", "flux", "group_data", "inventories", "sopslab", "tasks"),
    *("templates", "deploy.py"),
)
# What an upgrade must not make anew; Flux's own objects for the learner are among it.
THE_LEARNERS = (
    ("namespace", NAMESPACE),
    ("-n", NAMESPACE, "secret", "lab-canary"),
    ("-n", "flux-system", "kustomization", KUSTOMIZATION),
    ("-n", "flux-system", "gitrepository", "learner"),
)

Object = dict[str, Any]
# Objects by kind and name.
Objects = dict[tuple[str, str], Object]


def go(*arguments: str, check: bool = True) -> str:
    """Run go outside of any module; return what it says."""
    environment = {**os.environ, "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    command = [find_tool("go"), *arguments]
    return run(command, env=environment, cwd=Path("/"), check=check).stdout


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def version_before(module: str, version: str) -> str | None:
    """Return the newest version of an earlier minor version that is listed; None without one."""
    listed = go("list", "-m", "-versions", module, check=False).split()[1:]
    earlier = [one for one in listed if "-" not in one and numbers(one)[:2] < numbers(version)[:2]]
    return max(earlier, key=numbers, default=None)


def objects(text: str) -> Objects:
    """Return the objects of a file of manifests, or of what kubectl lists as JSON."""
    found = [item for item in yaml.safe_load_all(text) if item]
    if found[0]["kind"] == "List":
        found = found[0]["items"]
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


def built(folder: str) -> Objects:
    return objects(run([find_tool("kubectl"), "kustomize", folder]).stdout)


def definitions(some: Objects) -> Objects:
    return {key: item for key, item in some.items() if key[0] == "CustomResourceDefinition"}


def container(some: Objects, controller: str) -> Object:
    """Return the only container of a controller."""
    (found,) = some["Deployment", controller]["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def put_back(components: Objects, controller: str) -> bool:
    """Give a controller the definitions and flags of an earlier version, if there is one."""
    runs = container(components, controller)
    module = f"github.com/fluxcd/{controller}"
    before = version_before(module, runs["image"].rpartition(":")[2])
    if before is None:
        return False
    folder = json.loads(go("mod", "download", "-json", f"{module}@{before}"))["Dir"]
    for key, definition in built(f"{folder}/config/crd").items():
        # A kind that the pinned version no longer defines is left out: no lab has objects of it.
        if key in components:
            components[key]["spec"] = definition["spec"]
    flags = container(built(f"{folder}/config/manager"), controller)["args"]
    runs["args"] = as_flux_sets(flags, runs["args"])
    return True


def as_flux_sets(flags: list[str], pinned: list[str]) -> list[str]:
    """Return flags with the values that `flux install` sets, and with the flag that it adds."""
    values = {flag.partition("=")[0]: flag for flag in pinned}
    return [values["--events-addr"], *(values.get(flag.partition("=")[0], flag) for flag in flags)]


def relabelled(text: str, flux: str) -> str:
    """Return manifests labelled as Flux's previous minor version, with the patch number 0."""
    major, minor, _ = numbers(flux)
    return replaced(text, f"{VERSION}: {flux}", f"{VERSION}: v{major}.{minor - 1}.0")


@pytest.fixture(scope="module")
def pinned() -> Objects:
    """What the pinned flux installs."""
    return objects(run([find_tool("flux"), *EXPORT]).stdout)


@pytest.fixture(scope="module")
def components_before(pinned: Objects) -> str:
    """What an older flux installs."""
    components = objects(yaml.safe_dump_all(pinned.values()))
    older = [name for name in CONTROLLERS if put_back(components, name)]
    assert older, "the Go module proxy lists no earlier version of any controller"
    flux = pinned["Namespace", "flux-system"]["metadata"]["labels"][VERSION]
    return relabelled(yaml.safe_dump_all(components.values(), sort_keys=False), flux)


@pytest.fixture(scope="module")
def product_before(components_before: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product with an older flux, in a folder that Python searches before the present one."""
    folder = tmp_path_factory.mktemp("older")
    for name in PRODUCT:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    printed = folder / "components.yaml"
    printed.write_text(components_before)
    tool = folder / "sopslab/lab/tools/flux.py"
    command = '["flux", "install", "--export", *only]'
    tool.write_text(replaced(tool.read_text(), command, f'["cat", "{printed}"]'))
    task = folder / "tasks/flux.py"
    task.write_text(replaced(task.read_text(), "recipe=catalog.flux_recipe", 'recipe="older"'))
    return folder


@pytest.fixture(scope="module")
def aged(product_before: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that the older product made."""
    made = Lab(lab_name("flux"), tmp_path_factory.mktemp("flux"), {})
    with made.made(PYTHONPATH=str(product_before)) as lab:
        yield lab


def live(lab: Lab, kind: str) -> Objects:
    return objects(lab.kubectl("-n", "flux-system", "get", kind, "-o", "json"))


def identities(lab: Lab) -> list[str]:
    return [
        lab.kubectl("get", *what, "-o", "jsonpath={.metadata.uid} {.metadata.creationTimestamp}")
        for what in THE_LEARNERS
    ]


def differences(lab: Lab, wanted: Objects) -> Iterator[str]:
    """Yield what differs between the cluster and components: definitions, labels, images, flags."""
    served, running = live(lab, "crd"), live(lab, "deployment")
    for key, item in definitions(wanted).items():
        if served[key]["spec"]["versions"] != item["spec"]["versions"]:
            yield key[1]
    for name in CONTROLLERS:
        found, expected = container(running, name), container(wanted, name)
        labels = [some["Deployment", name]["metadata"]["labels"] for some in (running, wanted)]
        if labels[0][VERSION] != labels[1][VERSION] or found["image"] != expected["image"]:
            yield name
        # The lab adds flags of its own, which test_up.py checks.
        if not set(expected["args"]) <= set(found["args"]):
            yield f"{name}: flags"


def assert_only_storage_versions_are_stored(lab: Lab, wanted: Objects) -> None:
    """Objects that are stored in another version could not be read once that version is gone."""
    served = live(lab, "crd")
    for key, item in definitions(wanted).items():
        kept = [version["name"] for version in item["spec"]["versions"] if version["storage"]]
        assert served[key]["status"]["storedVersions"] == kept, key


def platform_head(lab: Lab) -> str:
    platform = Path(lab.settings.git_dir) / "repositories" / "platform.git"
    return run(["git", "rev-parse", "refs/heads/main"], cwd=platform).stdout.strip()


def platform_applied(lab: Lab) -> bool:
    """Return whether Flux has applied the platform repository, which has Flux's own manifests."""
    return platform_head(lab) in lab.kubectl(
        "-n", "flux-system", "get", "kustomization", "flux-system",
        "-o", "jsonpath={.status.lastAppliedRevision}",
    )  # fmt: skip


@contextmanager
def forgotten(lab: Lab, image: str) -> Iterator[None]:
    """Take the name of an image from the node while the block runs."""
    images = ["docker", "exec", lab.node, "ctr", "--namespace", "k8s.io", "images"]
    run([*images, "tag", image, "example.org/kept:1"])
    run([*images, "rm", image])
    try:
        yield
    finally:
        run([*images, "tag", "example.org/kept:1", image])


def assert_the_canary_is_decrypted(lab: Lab, folder: Path) -> None:
    expected, found = lab.canary_digests(folder)
    assert found == expected


def test_a_node_without_the_images_keeps_the_flux_that_runs_on_it(
    aged: Lab, pinned: Objects, components_before: str, tmp_path: Path
) -> None:
    image, head = container(pinned, "source-controller")["image"], platform_head(aged)
    with forgotten(aged, image):
        answer = aged.up(check=False)
    (problem,) = answer["problems"]
    assert answer["code"] == Exit.FLUX
    assert image in problem and "`sopslab up --recreate`" in problem
    assert platform_head(aged) == head
    assert list(differences(aged, objects(components_before))) == []
    assert_the_canary_is_decrypted(aged, tmp_path)


def test_an_up_brings_the_next_version_of_flux_and_keeps_what_is_the_learners(
    aged: Lab, pinned: Objects, components_before: str, tmp_path: Path
) -> None:
    older = objects(components_before)
    assert definitions(older) != definitions(pinned), "this was the pinned version"
    assert list(differences(aged, older)) == []
    before = identities(aged)

    changes = aged.changes(aged.up())

    assert any("Lay out the platform repository" in change for change in changes), changes
    wait_until(lambda: platform_applied(aged), "Flux applies what it is made of")
    assert (Path(aged.settings.platform_dir) / GOTK).read_text() == aged.run("flux", *EXPORT).stdout
    assert list(differences(aged, pinned)) == []
    assert_only_storage_versions_are_stored(aged, pinned)

    assert identities(aged) == before
    assert_the_canary_is_decrypted(aged, tmp_path)
    pushed = aged.push_notes(tmp_path)
    wait_until(lambda: aged.flux_applied(pushed), "Flux applies what was pushed")
    assert aged.up()["changed"] == 0
