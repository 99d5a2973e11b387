"""What a bundle says about its contents, read from the programs and packages themselves."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from sopslab.artifacts.catalog import load_catalog
from sopslab.artifacts.sbom import Made, Part, debian_packages, python_packages, sbom
from sopslab.artifacts.wheels import PYTHONS, pip_options, requirements_for, short_name
from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.lab.bundles.contents import licences, parts_of
from sopslab.lab.bundles.go_modules import go_modules
from sopslab.lab.bundles.product import wheels_of
from sopslab.lab.store.members import pack
from sopslab.layout import PROJECT
from tests.conftest import find_tool
from tests.unit.artifacts.conftest import publish

STATUS = """Package: git
Status: install ok installed
Version: 1:2.39.5-0+deb12u2
Description: a thing
 Version: is in the text, too

Package: nano
Status: deinstall ok config-files
Version: 7.2-1

Package: libc6
Version: 2.36-9
"""


def test_the_modules_of_a_program_are_read_from_it() -> None:
    found = {part.name: part.version for part in go_modules(Path(find_tool("age")))}
    module = (PROJECT / "artifacts" / "modules" / "age" / "go.sum").read_text()
    assert found.pop("stdlib")[:2] == "1."
    assert {"filippo.io/hpke", "golang.org/x/crypto"} <= found.keys()
    assert all(f"{name} {version} h1:" in module for name, version in found.items())


def test_a_module_that_is_replaced_is_the_one_that_replaces_it() -> None:
    found = {part.name for part in go_modules(Path(find_tool("sops")))}
    assert found and not {name for name in found if name.startswith((".", "/", "=>"))}


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\xff Go buildinf:" + bytes(40)])
def test_what_is_not_of_go_has_no_modules(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(content)
    assert go_modules(tmp_path / "program") == []


def test_packages_of_a_root_file_system_are_those_that_dpkg_lists() -> None:
    assert debian_packages(STATUS) == [
        Part("deb", "git", "1:2.39.5-0+deb12u2"),
        Part("deb", "libc6", "2.36-9"),
    ]
    assert debian_packages(STATUS)[0].purl == "pkg:deb/debian/git@1%3A2.39.5-0%2Bdeb12u2"


def test_a_package_with_wheels_for_several_pythons_is_one() -> None:
    names = ["cffi-2.1.1-cp311-cp311-manylinux2014_x86_64.whl", "cffi-2.1.1-cp312-x.whl"]
    assert python_packages(names) == [Part("pypi", "cffi", "2.1.1")]


def test_every_reference_in_the_sbom_leads_somewhere_and_is_there_once() -> None:
    parts = [Part("golang", "example.org/a/v2", "v2.0.0"), Part("pypi", "click", "8.1")]
    made = [
        Made("one", "1", "1" * 64, "application", parts),
        Made("two", "2", "2" * 64, "data", ()),
    ]
    document = sbom("0.1.0", made)
    refs = [part["bom-ref"] for part in document["components"]]
    refs.append(document["metadata"]["component"]["bom-ref"])
    assert len(refs) == len(set(refs))
    for edge in document["dependencies"]:
        assert {edge["ref"], *edge["dependsOn"]} <= set(refs)
    assert sbom("0.1.0", made) == document
    assert document["specVersion"] == "1.6"


@pytest.fixture
def debian(lab: Callable[..., Settings]) -> Lab:
    """A lab with a root file system in which one package has no copyright file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in {
            "./var/lib/dpkg/status": STATUS,
            "./usr/share/doc/git/copyright": "of git",
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    place = lab().for_machine
    publish(place, {"rootfs.tar": buffer.getvalue()}, "debian-rootfs")
    return place


def test_what_a_root_file_system_has_in_it_is_told(debian: Lab) -> None:
    members = pack(debian, ["debian-rootfs-1.0"])
    components = parts_of(debian, members, "0.1.0")["components"]
    assert "pkg:deb/debian/libc6@2.36-9" in {part.get("purl") for part in components}
    found = licences(debian, members)
    assert found.texts == {"licences/debian/git": b"of git"}
    assert found.without == ("Debian packages of debian-rootfs-1.0",)


def test_a_root_file_system_that_dpkg_knows_nothing_of_has_no_licences(
    lab: Callable[..., Settings],
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("./var/lib/dpkg/status"))
    place = lab().for_machine
    publish(place, {"rootfs.tar": buffer.getvalue()}, "tables-rootfs")
    found = licences(place, pack(place, ["tables-rootfs-1.0"]))
    assert found.without == ("Debian packages of tables-rootfs-1.0",)


REQUIREMENTS = """# by hand
one==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via two
two==2.0 ; python_full_version < '3.12' \\
    --hash=sha256:cc
three[extra]==3.0 ; platform_machine == 'aarch64' \\
    --hash=sha256:dd
four==4.0 ; platform_python_implementation != 'CPython' \\
    --hash=sha256:ee
"""


def test_conditions_are_judged_for_the_other_machine() -> None:
    one = "one==1.0 --hash=sha256:aa --hash=sha256:bb\n"
    assert requirements_for(REQUIREMENTS, "3.13", "amd64") == one
    assert requirements_for(REQUIREMENTS, "3.11", "amd64") == one + "two==2.0 --hash=sha256:cc\n"
    assert requirements_for(REQUIREMENTS, "3.13", "arm64") == one + "three==3.0 --hash=sha256:dd\n"


def test_pip_is_told_of_no_newer_glibc_first() -> None:
    options = pip_options("3.13", "arm64")
    platforms = [word for option, word in pairwise(options) if option == "--platform"]
    assert platforms[0] == "manylinux2014_aarch64"
    assert platforms[1:] == sorted(platforms[1:], key=lambda name: int(name.split("_")[2]))
    assert options[options.index("--abi") :][:2] == ("--abi", "cp313")


@pytest.mark.parametrize(
    ("named", "short"),
    [
        ("a-1-py3-none-any.whl", "a-1-py3-none-any.whl"),
        (
            "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.manylinux_2_5_x86_64.whl",
            "a-1-cp311-cp311-manylinux2014_x86_64.whl",
        ),
        (
            "a_b-1-cp38-abi3-manylinux_2_34_x86_64.manylinux_2_28_x86_64.whl",
            "a_b-1-cp38-abi3-manylinux_2_28_x86_64.whl",
        ),
    ],
)
def test_a_wheel_has_a_name_that_a_header_can_have(named: str, short: str) -> None:
    assert short_name(named, "amd64") == short


def test_the_pins_name_every_package_with_a_hash() -> None:
    text = (PROJECT / "requirements.txt").read_text()
    for python in PYTHONS:
        lines = requirements_for(text, python, "amd64").splitlines()
        assert len(lines) > 50
        assert all("==" in line and " --hash=sha256:" in line for line in lines)


def test_wheels_are_listed_by_their_names(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "product.tar", "w") as archive:
        for name in ("about.json", "wheels/a-1-py3-none-any.whl"):
            archive.addfile(tarfile.TarInfo(name))
    assert wheels_of(tmp_path / "product.tar") == ["a-1-py3-none-any.whl"]


def test_every_entry_of_the_store_is_needed_where_a_lab_runs() -> None:
    """An entry that only builds need, such as the toolchain, does not travel."""
    catalog = load_catalog(PROJECT / "artifacts" / "catalog.yaml")
    assert catalog.git_image is not None
    # `sopslab validate` makes its schemas from these entries.
    schemas = {"openapi", "flux-manifests"}
    for source, node in catalog.node_image.items():
        used = {*node.needs, *catalog.git_image.needs, *catalog.deliver, *schemas}
        assert catalog.entries(source, "amd64").keys() <= used
