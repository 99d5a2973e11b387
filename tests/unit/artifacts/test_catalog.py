"""The catalog is complete and consistent with the Go modules beside it, and refused otherwise."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sopslab.artifacts import catalog as pinning
from sopslab.artifacts.catalog import (
    ARCHES,
    METHODS,
    SOURCES,
    Catalog,
    image_reference,
    load_catalog,
)
from sopslab.errors import InputError, LabError
from sopslab.lab.store.edits import replace_text
from sopslab.model.recipes import DerivedPlan, NodeImagePlan, ProgramsPlan, RootfsPlan
from sopslab.model.wire import encode

ROOT = Path(__file__).resolve().parents[3]
ARTIFACTS = ROOT / "artifacts"
MODULES = ARTIFACTS / "modules"
RECIPES = {
    path.stem: path.read_text()
    for path in (ROOT / "sopslab" / "lab" / "store").glob("*.py")
    if path.stem != "__init__"
}
KUBE_ROUTER = ROOT / "flux" / "clusters" / "lab" / "network" / "kube-router.yaml"

# The upstream modules of the programs that our modules put together; `pause` is our own.
OURS = {"kubernetes": "k8s.io/kubernetes", "coredns": "github.com/coredns/coredns", "pause": None}
BOT = json.loads((ROOT / "renovate.json").read_text())
# Versions that no release names: those of Debian, and of what is our own.
BY_HAND = {"git-rootfs", "netfilter-rootfs", "node-rootfs", "pause"}

Write = Callable[[dict[str, Any]], Path]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(ARTIFACTS / "catalog.yaml")


@pytest.fixture
def data() -> dict[str, Any]:
    loaded = yaml.safe_load((ARTIFACTS / "catalog.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def write(tmp_path: Path) -> Write:
    shutil.copytree(MODULES, tmp_path / "modules")

    def _write(data: dict[str, Any]) -> Path:
        file = tmp_path / "catalog.yaml"
        file.write_text(yaml.safe_dump(data))
        return file

    return _write


def _requirements(module: str) -> dict[str, str]:
    text = (MODULES / module / "go.mod").read_text()
    return dict(re.findall(r"^(?:require )?\t?(\S+\.\S+/\S+) v(\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("arch", ARCHES)
def test_every_release_has_a_sum_or_says_that_it_is_recorded(catalog: Catalog, arch: str) -> None:
    for name, release in catalog.releases.items():
        assert re.fullmatch(r"[0-9a-f]{64}|first-use", release.sha256[arch]), name  # type: ignore[index]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("arch", ARCHES)
def test_every_source_delivers_the_same_tools(catalog: Catalog, source: Any, arch: Any) -> None:
    assert set(catalog.tools(source, arch)) == {
        "age", "age-keygen", "flux", "gitleaks", "kind", "kubeconform", "kubectl", "sops",
    }  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("arch", ARCHES)
def test_images_can_be_resolved(catalog: Catalog, source: Any, arch: Any) -> None:
    for role in ("git", "node"):
        image = catalog.image(role, source, arch)
        assert image.labels["sops-lab.source"] == source
        assert image.labels["sops-lab.recipe"] == image.recipe
        assert re.fullmatch(rf"sops-lab/{role}:[0-9a-f]{{12}}", image.reference)


def test_go_modules_require_the_versions_of_the_catalog(catalog: Catalog) -> None:
    for name, build in catalog.builds.items():
        required = _requirements(build.module or name)
        for entry, programs in build.fills.items():
            for built in programs.values():
                package = OURS[entry] if built.startswith("sops-lab/") else built
                if package is None:
                    continue
                owner = max((path for path in required if package.startswith(path)), key=len)
                assert required[owner] == catalog.version(entry, "modules"), (name, package)


def test_programs_that_we_compose_import_what_gives_them_their_version(catalog: Catalog) -> None:
    for build in catalog.builds.values():
        for entry, programs in build.fills.items():
            for package in programs.values():
                module, _, folder = package.removeprefix("sops-lab/artifacts/").partition("/")
                if package.startswith("sops-lab/") and OURS[entry] is not None:
                    main = (MODULES / module / folder / "main.go").read_text()
                    assert f'"{OURS[entry]}/' in main


def test_nothing_but_the_programs_that_are_one_file_is_started_by_another_name(
    catalog: Catalog,
) -> None:
    preload = _preload(catalog, "modules")
    assert {name for name, image in preload.items() if "kubernetes-" in image.program} == {
        "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler",
    }  # fmt: skip
    main = (MODULES / "kubernetes" / "multicall" / "main.go").read_text()
    for name, image in preload.items():
        file = image.path.rsplit("/", 1)
        started = image.entrypoint.rsplit("/", 1)
        if "kubernetes-" not in image.program:
            assert started == file, name
            continue
        assert started == [file[0], name]
        assert image.links[image.entrypoint] == file[1]
        assert f'case "{name}":' in main


def test_folders_and_manifests_come_from_the_versions_of_the_catalog(catalog: Catalog) -> None:
    parts = [(name, part.module, part.package) for name, part in catalog.folders.items()]
    for manifests in catalog.manifests.values():
        parts += [(n, part.module, part.package) for n, part in manifests.controllers.items()]
    for name, module, package in parts:
        required = _requirements(module)
        owner = max((path for path in required if package.startswith(path)), key=len)
        assert required[owner] == catalog.version(name, "modules"), name


def test_the_bot_proposes_a_version_of_the_catalog_together_with_its_module(
    data: dict[str, Any],
) -> None:
    text = (ARTIFACTS / "catalog.yaml").read_text()
    names: dict[str, list[str]] = {}
    for manager in BOT["customManagers"]:
        (pattern,) = manager["matchStrings"]
        found = re.finditer(pattern.replace("(?<", "(?P<"), text)
        names[manager["depNameTemplate"]] = [one[0].partition(":")[0].strip() for one in found]
    proposed = sorted(name for each in names.values() for name in each)
    assert proposed == sorted(set(data["versions"]) - BY_HAND)
    required = {
        path for file in MODULES.glob("*/go.mod") for path in _requirements(file.parent.name)
    }
    groups = [set(rule["matchPackageNames"]) for rule in BOT["packageRules"]]
    for release in names:
        (group,) = [one for one in groups if release in one]
        modules = group - {release}
        assert modules and modules <= required, release


def test_the_toolchain_suffices_for_every_module(catalog: Catalog) -> None:
    def numbers(version: str) -> list[int]:
        return [int(part) for part in version.split(".")]

    lines = [
        match[1]
        for file in MODULES.glob("*/go.mod")
        if (match := re.search(r"^go (\S+)$", file.read_text(), re.MULTILINE))
    ]
    assert catalog.go is not None
    assert numbers(catalog.go.minimum) == max(numbers(line) for line in lines)
    assert numbers(catalog.go.version) >= numbers(catalog.go.minimum)


def test_every_module_with_requirements_has_sums() -> None:
    files = [file for file in MODULES.glob("*/go.mod") if "require" in file.read_text()]
    assert files
    for file in files:
        assert (file.parent / "go.sum").stat().st_size > 0, file


def _node(catalog: Catalog, source: Any) -> NodeImagePlan:
    plan = catalog.image("node", source, "amd64").plan
    assert isinstance(plan, NodeImagePlan)
    return plan


def _preload(catalog: Catalog, source: Any) -> dict[str, Any]:
    """Return the images that the node image of a source brings along, by the last part of their
    names."""
    return {re.split("[/:]", one.image)[-2]: one for one in _node(catalog, source).preload}


def test_a_node_whose_network_enforces_no_policy_brings_along_who_does(catalog: Catalog) -> None:
    for source, node in catalog.node_image.items():
        assert ("kube-router" in _preload(catalog, source)) == (node.cni == "static"), source


def test_the_image_of_kube_router_is_the_one_that_its_manifest_names(catalog: Catalog) -> None:
    documents = list(yaml.safe_load_all(KUBE_ROUTER.read_text()))
    (daemon_set,) = [part for part in documents if part["kind"] == "DaemonSet"]
    pod = daemon_set["spec"]["template"]["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["image"] == _preload(catalog, "modules")["kube-router"].image
        assert container["imagePullPolicy"] == "IfNotPresent"


def test_new_pods_are_those_with_an_address_of_the_static_network(catalog: Catalog) -> None:
    documents = yaml.safe_load_all(KUBE_ROUTER.read_text())
    (rules,) = [part["data"]["new-pods.nft"] for part in documents if part["kind"] == "ConfigMap"]
    named = {ipaddress.IPv4Network(word) for word in re.findall(r"[\d.]+/\d+", rules)}
    network = _node(catalog, "modules").network
    assert network is not None
    (ranges,) = network["plugins"][0]["ipam"]["ranges"]
    subnets = {ipaddress.IPv4Network(one["subnet"]) for one in ranges}
    assert len(named) == 1
    assert all(subnet.subnet_of(wide) for subnet in subnets for wide in named)


def test_kube_router_says_its_version(catalog: Catalog) -> None:
    thing = next(thing for thing in catalog.things() if thing.name == "kube-router")
    plan = catalog.work(thing, "modules", "amd64").plan
    assert isinstance(plan, ProgramsPlan)
    version = catalog.version("kube-router", "modules")
    assert (
        plan.ldflags
        == f"-X github.com/cloudnativelabs/kube-router/v2/pkg/version.Version=v{version}"
    )


def test_whoever_writes_rules_for_the_kernel_writes_them_for_nftables(catalog: Catalog) -> None:
    preload = _preload(catalog, "modules")
    names = {f"usr/sbin/{ip}tables{part}" for ip in ("ip", "ip6") for part in
             ("", "-save", "-restore")}  # fmt: skip
    for writer in ("kube-proxy", "kube-router"):
        assert preload[writer].rootfs == "netfilter-rootfs-bookworm"
        links = {path: to for path, to in preload[writer].links.items() if path in names}
        assert links == dict.fromkeys(names, "xtables-nft-multi"), writer
    packages = set(catalog.rootfs["netfilter-rootfs"].packages)
    assert packages >= {"conntrack", "ipset", "iptables"}


@pytest.mark.parametrize("source", SOURCES)
def test_the_git_server_can_speak_tls_whatever_the_source(catalog: Catalog, source: Any) -> None:
    assert catalog.git_image is not None
    entries = {thing.name: thing for thing in catalog.things(source)}
    plan = catalog.work(entries[catalog.git_image.base], source, "amd64").plan
    assert isinstance(plan, RootfsPlan | DerivedPlan)
    assert {"lighttpd", "lighttpd-mod-openssl"} <= set(plan.packages)


def test_nothing_of_upstream_is_made_of_this_machines_debian_packages(catalog: Catalog) -> None:
    assert [thing.name for thing in catalog.things("upstream") if thing.kind == "rootfs"] == []


@pytest.mark.parametrize(
    "change",
    [{"digest": f"sha256:{'0' * 64}"}, {"packages": ["git"]}, {"image": "docker.io/a/b:c"}],
)
def test_another_image_makes_the_root_file_system_of_it_again_and_no_other(
    change: dict[str, Any], write: Write, data: dict[str, Any]
) -> None:
    before = load_catalog(write(data))
    data["derived"]["git-rootfs"].update(change)
    after = load_catalog(write(data))
    differing = {
        name
        for source in SOURCES
        for name, entry in before.entries(source, "amd64").items()
        if entry.recipe != after.entries(source, "amd64")[name].recipe
    }
    assert differing == {"git-rootfs"}
    modules = [part.entries("modules", "amd64")["git-rootfs"] for part in (before, after)]
    assert modules[0] == modules[1]


def test_images_are_pulled_by_digest_and_from_the_mirror_if_there_is_one() -> None:
    digest = f"sha256:{'0' * 64}"
    assert image_reference("ghcr.io/a/b", digest, None) == f"ghcr.io/a/b@{digest}"
    assert image_reference("ghcr.io/a/b", digest, "localhost:1") == f"localhost:1/a/b@{digest}"


CHANGES: dict[str, tuple[Callable[[dict[str, Any], Path], Any], set[str]]] = {
    "a version": (
        lambda data, _: data["versions"].update(sops="3.13.4"),
        {"sops", "node: no"},
    ),
    "a stamp": (
        lambda data, _: data["builds"]["age"].update(stamps=["main.Version=other"]),
        {"age"},
    ),
    "build tags": (lambda data, _: data["builds"]["containerd"].update(tags=[]), {"containerd"}),
    "a package": (
        lambda data, _: data["builds"]["etcd"]["fills"]["etcd"].update(etcd="example.org/etcd"),
        {"etcd"},
    ),
    "go.sum": (
        lambda _, root: (root / "modules/kind/go.sum").write_text("other"),
        {"kind", "kind-files"},
    ),
    "what is embedded": (
        lambda _, root: (root / "modules/helm-controller/go.sum").write_text("other"),
        {"flux-manifests", "flux"},
    ),
    "packages of a root file system": (
        lambda data, _: data["rootfs"]["node-rootfs"]["packages"].append("nano"),
        {"node-rootfs"},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_input_changes_the_recipe_and_no_other(
    change: str, write: Write, data: dict[str, Any], tmp_path: Path
) -> None:
    first = load_catalog(write(data))
    apply, changed = CHANGES[change]
    apply(data, tmp_path)
    second = load_catalog(write(data))
    assert first.digest != second.digest
    before, after = (part.entries("modules", "amd64") for part in (first, second))
    differing = {name for name in before if before[name].recipe != after[name].recipe}
    assert differing == {name for name in changed if ":" not in name}


@pytest.mark.parametrize("source", SOURCES)
def test_a_recipe_is_the_digest_of_all_inputs_as_one_text(catalog: Catalog, source: Any) -> None:
    things = [thing for thing in catalog.things(source) if thing.kind != "build"]
    assert things
    for thing in things:
        work = catalog.work(thing, source, "amd64")
        (entry,) = work.entries
        texts = [catalog.modules[module] for module in work.modules]
        inputs = [
            entry.name, entry.version, source, "amd64", catalog._method(work.plan),
            encode(work.plan), texts, [],
        ]  # fmt: skip
        told = json.dumps(inputs, sort_keys=True).encode()
        assert entry.recipe == hashlib.sha256(told).hexdigest(), thing


@given(st.lists(st.recursive(st.none() | st.text() | st.integers(), st.lists), max_size=5))
def test_a_list_of_parts_is_the_list_as_one_text(parts: list[Any]) -> None:
    assert pinning._array(map(pinning._json, parts)) == json.dumps(parts, sort_keys=True)


def test_what_a_thing_needs_is_worked_out_once(catalog: Catalog) -> None:
    one, *_ = catalog.things("modules")
    assert catalog.work(one, "modules", "amd64") is catalog.work(one, "modules", "amd64")
    assert catalog.work(one, "modules", "arm64") != catalog.work(one, "modules", "amd64")


def test_a_changed_recipe_changes_what_it_makes(catalog: Catalog) -> None:
    other = load_catalog(ARTIFACTS / "catalog.yaml")
    other.recipes["rootfs"] += "# other\n"
    before, after = (part.entries("modules", "amd64") for part in (catalog, other))
    assert {name for name in before if before[name].recipe != after[name].recipe} == {
        "git-rootfs", "netfilter-rootfs", "node-rootfs",
    }  # fmt: skip
    assert other.node_tag != catalog.node_tag


def test_another_edit_builds_that_module_again_and_no_other(
    write: Write, data: dict[str, Any]
) -> None:
    before = load_catalog(write(data)).entries("modules", "amd64")
    data["builds"]["toolkit"]["edits"][0]["becomes"] += " // other"
    after = load_catalog(write(data)).entries("modules", "amd64")
    differing = {name for name in before if before[name].recipe != after[name].recipe}
    assert differing == set(data["builds"]["toolkit"]["fills"])


@pytest.mark.parametrize("plan", METHODS, ids=lambda plan: plan.__name__)
def test_what_decides_a_result_is_all_that_its_recipe_is_made_of(plan: Any) -> None:
    """A recipe is the module that takes the plan. It consists of the modules of its folder that it
    imports, directly or not, except the bench."""
    (recipe,) = [name for name, text in RECIPES.items() if f"plan: {plan.__name__}" in text]
    parts: set[str] = set()
    found = {recipe}
    while found:
        parts |= found
        found = {name for part in found for name in _room(RECIPES[part])} - parts - {"bench"}
    assert set(METHODS[plan]) == parts


def _room(text: str) -> set[str]:
    """Return the modules of recipes that a module's text imports."""
    return set(re.findall(r"^from sopslab\.lab\.store\.(\w+) import", text, re.MULTILINE))


def test_every_module_with_recipes_decides_a_result() -> None:
    others = {"bench", "members"}
    assert {part for parts in METHODS.values() for part in parts} == set(RECIPES) - others


@pytest.mark.parametrize(
    ("content", "becomes"),
    [
        ("a\n\tget(x)\nb\n", "a\n\tno(y)\nb\n"),
        ("get(x)", "no(y)"),
        ("a\n\tgot(x)\nb\n", None),
        ("get(x)\nget(x)\n", None),
        (None, None),
    ],
    ids=["once", "alone", "absent", "twice", "no-file"],
)
def test_a_text_is_replaced_where_it_is_exactly_once_or_nothing_is_built(
    content: str | None, becomes: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "loader.go"
    if content is not None:
        file.write_text(content)
    if becomes is not None:
        replace_text(file, "a/loader.go", "get(x)", "no(y)")
        assert file.read_text() == becomes
        return
    with pytest.raises(LabError, match=r"a/loader\.go .* has to be replaced"):
        replace_text(file, "a/loader.go", "get(x)", "no(y)")
    assert content is None or file.read_text() == content


def test_an_image_gets_another_tag_with_other_content_only(
    write: Write, data: dict[str, Any]
) -> None:
    before = load_catalog(write(data))
    data["versions"]["kubeconform"] = "9.9.9"
    same = load_catalog(write(data))
    assert (same.node_tag, same.git_tag) == (before.node_tag, before.git_tag)
    data["node_image"]["modules"]["preload"][0]["user"] = "1"
    other = load_catalog(write(data))
    assert other.git_tag == before.git_tag
    assert other.node_tag != before.node_tag
    # The digest is that of the store, and an image is not in the store.
    assert other.digest == same.digest


def test_a_build_can_be_narrowed_to_what_is_missing(catalog: Catalog) -> None:
    thing = next(thing for thing in catalog.things() if thing.name == "toolkit")
    work = catalog.work(thing, "modules", "amd64")
    sops = next(entry for entry in work.entries if entry.name == "sops")
    narrowed = work.only([sops])
    assert isinstance(narrowed.plan, ProgramsPlan)
    assert list(narrowed.plan.programs) == ["sops"]
    assert narrowed.plan.embed is None
    assert narrowed.entries == (sops,)


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "unknown part": (lambda data: data.update(extra=1), "extra"),
    "texts from the file": (lambda data: data.update(recipes={}), "recipes"),
    "short sum": (lambda data: data["releases"]["age"]["sha256"].update(amd64="1f"), "amd64"),
    "sum missing": (lambda data: data["releases"]["age"]["sha256"].pop("arm64"), "arm64"),
    "no version": (lambda data: data["versions"].pop("cni"), "cni has no version"),
    "number as version": (lambda data: data["versions"].update(pause=3.1), "pause"),
    "shell in a version": (lambda data: data["versions"].update(sops="1; rm -rf /"), "sops"),
    "shell in a file": (
        lambda data: data["releases"]["sops"].update(file="a/$(reboot)"),
        "releases.sops.file",
    ),
    "way out of the store": (
        lambda data: data["releases"]["sops"].update(members={"../../x": None}),
        "members",
    ),
    "unknown placeholder": (
        lambda data: data["releases"]["sops"].update(file="a/{nothing}"),
        "{nothing}",
    ),
    "unknown module": (
        lambda data: data["folders"]["openapi"].update(module="nowhere"),
        "no module nowhere",
    ),
    "delivered by nobody": (lambda data: data["deliver"].append("helm"), "helm"),
    "image without its parts": (
        lambda data: data["git_image"].update(base="node-rootfs"),
        "node-rootfs is not filled by source upstream",
    ),
    "tag instead of a digest": (
        lambda data: data["pulls"]["kubernetes"].update(digest="latest"),
        "digest",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_catalog_is_refused(case: str, write: Write, data: dict[str, Any]) -> None:
    spoil, expected = REFUSED[case]
    spoil(data)
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        load_catalog(write(data))
    assert len(caught.value.problems) == 1


def test_all_problems_are_told_at_once(write: Write, data: dict[str, Any]) -> None:
    for case in ("no version", "delivered by nobody", "unknown placeholder"):
        REFUSED[case][0](data)
    with pytest.raises(InputError) as caught:
        load_catalog(write(data))
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("text", ["- a list", "a: [", "\t"])
def test_what_is_not_a_catalog_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=re.escape(str(file))):
        load_catalog(file)


def test_a_missing_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_catalog(tmp_path / "none.yaml")
