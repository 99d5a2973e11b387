"""A bundle has the same bytes each time, and is refused as a whole unless all of it is right."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.bundles import product
from sopslab.lab.bundles.loading import Trust, load, take_in, verify
from sopslab.lab.bundles.writing import Contents, create
from sopslab.lab.observe.store import store_state
from sopslab.lab.store.members import held, packed
from sopslab.lab.tools import files as lab_files
from sopslab.model.store import Arch
from tests.interrupted import killed_in_child
from tests.sshd import make_key
from tests.unit.artifacts.conftest import publish
from tests.unit.bundles.conftest import ENTRIES, FILES, Create, signers

UNSIGNED = Trust(unsigned=True)


def nothing(*_: object) -> None:
    pass


def take(seat: Lab, file: Path, trust: Trust = UNSIGNED) -> tuple[str, ...]:
    return load(seat, file, trust, "amd64", nothing).entries


def everything(seat: Lab) -> set[str]:
    """Return all files of the lab on a machine, except locks."""
    return {
        str(path.relative_to(seat.root))
        for path in Path(seat.root).rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def refused(seat: Lab, file: Path, trust: Trust = UNSIGNED) -> str:
    """Return why a bundle is refused; check that the machine is unchanged."""
    before = everything(seat)
    with pytest.raises(LabError) as reason:
        take(seat, file, trust)
    assert everything(seat) == before
    with pytest.raises(LabError):
        verify(seat, file, trust, nothing)
    assert len(str(reason.value).splitlines()) == 1
    return str(reason.value)


def test_what_was_in_one_store_is_in_the_other(made: Create, full: Lab, seat: Lab) -> None:
    (file,) = made().paths
    assert verify(seat, file, UNSIGNED, nothing).product == "0.1.0"
    assert set(take(seat, file)) == {entry.key for entry in ENTRIES}
    store = store_state(seat, images=[])
    assert [store.fault(entry) for entry in ENTRIES] == [None, None, None]
    assert store.bundle == "modules"
    assert held(seat) == held(full)
    assert sorted(path.name for path in Path(seat.store).iterdir()) == sorted(held(full))


def test_a_second_time_there_is_nothing_to_do(made: Create, seat: Lab) -> None:
    (file,) = made().paths
    take(seat, file)
    times = {path: path.stat().st_mtime_ns for path in Path(seat.store).rglob("*")}
    assert take(seat, file) == ()
    assert {path: path.stat().st_mtime_ns for path in Path(seat.store).rglob("*")} == times


def test_a_machine_that_had_a_bundle_gives_the_product_on_and_asks_no_index(
    made: Create, seat: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> NoReturn:
        raise AssertionError

    bundle = made()
    take(seat, bundle.paths[0])
    monkeypatch.setattr(product, "_ask_pip", ask)
    pythons = product.given_pythons(seat, "amd64")
    assert pythons == bundle.manifest.pythons
    packed_here = product.pack_product(seat, product.product_for("amd64", pythons))
    assert packed_here == bundle.manifest.product_for("amd64")
    assert lab_files.sha256(packed(seat, packed_here)) == packed_here.sha256
    # Without a record of a bundle, packages come from an index, and all versions of Python are
    # meant.
    Path(seat.root, "bundle.json").rename(Path(seat.root, "aside"))
    assert product.given_pythons(seat, "amd64") == ()
    Path(seat.root, "aside").rename(Path(seat.root, "bundle.json"))
    # If the packed product was removed or is cut off, the next load brings it again.
    packed(seat, packed_here).unlink()
    assert take(seat, bundle.paths[0]) == ()
    assert packed(seat, packed_here).exists()
    os.truncate(packed(seat, packed_here), 0)
    assert product.given_pythons(seat, "amd64") == ()
    assert take(seat, bundle.paths[0]) == ()
    assert product.given_pythons(seat, "amd64") == pythons


def test_a_product_that_names_no_digest_is_refused(made: Create, seat: Lab, tmp_path: Path) -> None:
    files = files_of(made().paths[0])
    altered = written(
        [(info, re.sub(rb'("what": "product".*?"content": ")', rb"\1../", data, flags=re.S))
         if info.name == "manifest.json" else (info, data) for info, data in files],
        tmp_path / "other",
    )  # fmt: skip
    assert "its manifest cannot be read" in refused(seat, altered)


def test_only_what_is_missing_or_damaged_is_put_there(made: Create, seat: Lab) -> None:
    (file,) = made().paths
    take(seat, file)
    Path(seat.store, "tool-1.0/bin/tool").write_bytes(b"damaged")
    shutil.rmtree(Path(seat.store, "files-1.0"))
    assert set(take(seat, file)) == {"tool-1.0", "files-1.0"}
    assert Path(seat.store, "tool-1.0/bin/tool").read_bytes() == FILES["tool"]["bin/tool"]


def test_two_runs_write_the_same_bytes(
    made: Create, key: Path, lab: Callable[..., Settings]
) -> None:
    (first,) = made("first", key=key).paths
    elsewhere = lab(root=f"{lab().root}-elsewhere").for_machine
    for name in reversed(FILES):
        publish(elsewhere, FILES[name], name)
    (second,) = made("second", place=elsewhere, key=key).paths
    assert first.read_bytes() == second.read_bytes()


def test_what_is_kept_and_cut_off_is_packed_again(made: Create, full: Lab) -> None:
    before = made().paths[0].read_bytes()
    for file in Path(full.root, "members").glob("*.tar*"):
        os.truncate(file, file.stat().st_size - 1)
    assert made().paths[0].read_bytes() == before


def test_it_can_be_split_and_has_no_part_of_an_older_one(made: Create, seat: Lab) -> None:
    (whole,) = made("whole").paths
    paths = made("parts", split=1_000_000).paths
    made("parts", split=700_000)
    paths = made("parts", split=1_000_000).paths
    assert b"".join(path.read_bytes() for path in paths) == whole.read_bytes()
    assert {path.stat().st_size for path in paths[:-1]} == {1_000_000}
    assert [path.name for path in paths[:2]] == ["parts.001", "parts.002"]
    assert sorted(whole.parent.glob("parts*")) == sorted(paths)
    assert len(take(seat, paths[0])) == 3
    paths[1].unlink()
    shutil.rmtree(seat.store)
    assert "cut off" in refused(seat, paths[0].with_suffix(""))


def test_what_is_no_part_of_an_older_one_stays(made: Create) -> None:
    folder = made("parts", split=700_000).paths[0].parent
    kept = {folder / name for name in ("parts.2", "parts.20261129", "parts.0001")}
    for path in kept:
        path.write_text("mine\n")
    (whole,) = made("parts").paths
    assert set(folder.glob("parts*")) == {whole, *kept}


def test_a_file_that_is_not_there_is_named(seat: Lab, tmp_path: Path) -> None:
    assert "is not there, nor lab.bundle.001" in refused(seat, tmp_path / "lab.bundle")


def test_a_signed_one_needs_somebody_who_is_trusted(
    made: Create, key: Path, seat: Lab, tmp_path: Path
) -> None:
    (file,) = made(key=key).paths
    other = make_key(tmp_path / "keys" / "other")
    assert "it is signed: name a file" in refused(seat, file)
    assert "it is signed: name a file" in refused(seat, file, Trust())
    assert "signature is by none of" in refused(seat, file, Trust(signers(other)))
    assert "signature is by none of" in refused(seat, file, Trust(signers(other), unsigned=True))
    assert len(take(seat, file, Trust(signers(key)))) == 3


def test_who_signed_the_last_one_is_remembered(
    made: Create, key: Path, seat: Lab, tmp_path: Path
) -> None:
    (file,) = made("own", key=key).paths
    (others,) = made("others", key=make_key(tmp_path / "keys" / "other")).paths
    take(seat, file, Trust(signers(key)))
    shutil.rmtree(seat.store)
    assert "signature is by none of" in refused(seat, others, Trust())
    assert len(take(seat, file, Trust())) == 3


def test_an_unsigned_one_is_taken_only_where_that_is_said(
    made: Create, key: Path, seat: Lab
) -> None:
    (file,) = made().paths
    assert "it is not signed, so nothing says who made it" in refused(seat, file, Trust())
    assert "it is not signed" in refused(seat, file, Trust(signers(key)))


def test_a_signature_is_over_bundles_only(
    made: Create, key: Path, seat: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopslab.lab.bundles.signing.NAMESPACE", "file")
    (file,) = made(key=key).paths
    assert "signature is by none of" in refused(seat, file, Trust(signers(key)))


def files_of(bundle: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(bundle) as archive:
        return [
            (info, content.read())
            for info in archive
            if (content := archive.extractfile(info)) is not None
        ]


def written(files: list[tuple[tarfile.TarInfo, bytes]], path: Path) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for info, content in files:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(buffer.getvalue())
    return path


def test_every_byte_that_is_altered_is_noticed(made: Create, seat: Lab) -> None:
    (file,) = made().paths
    data = file.read_bytes()
    # Only contents are altered: some bytes of a header, such as the owner, have no effect.
    with tarfile.open(file) as archive:
        places = [
            info.offset_data + at
            for info in archive
            for at in {0, info.size // 2, info.size - 1}
            if info.size and info.name != "manifest.json"
        ]
        names = [info.offset + 3 for info in archive]
    for place in [*places, *names[1:]]:
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        refused(seat, file)


def test_wherever_it_is_cut_off_it_is_refused(made: Create, seat: Lab) -> None:
    (file,) = made().paths
    data = file.read_bytes()
    for length in (0, 100, 512, 3000, len(data) // 2, len(data) - 1024, len(data) - 1):
        file.write_bytes(data[:length])
        refused(seat, file)


def test_what_is_reordered_or_of_another_one_is_refused(
    made: Create, full: Lab, seat: Lab, tmp_path: Path
) -> None:
    (file,) = made().paths
    files = files_of(file)
    publish(full, {"bin/tool": b"another program"}, "tool")
    others = files_of(made("other").paths[0])
    spoilt = tmp_path / "spoilt"
    assert "is not where" in refused(seat, written([*files[:-2], *reversed(files[-2:])], spoilt))
    assert "is not where" in refused(seat, written([*files[:-1], others[-1]], spoilt))
    assert "is not where" in refused(seat, written(files[:2] + files[3:], spoilt))
    assert "more in it" in refused(seat, written([*files, files[-1]], spoilt))
    renamed = (files[-1][0], others[-1][1])
    refused(seat, written([*files[:-1], renamed], spoilt))
    spoilt.write_bytes(file.read_bytes() + b"more")
    assert "more in it" in refused(seat, spoilt)


@pytest.mark.parametrize(
    "name", ["../escaped", "/escaped", "members/../../escaped", "a//b", "\\escaped", "a" * 98 + "ü"]
)
def test_a_name_that_leads_out_is_refused(
    name: str, made: Create, seat: Lab, tmp_path: Path
) -> None:
    files = files_of(made().paths[0])
    files.insert(2, (tarfile.TarInfo(name), b"x"))
    assert "not ours" in refused(seat, written(files, tmp_path / "spoilt"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_is_refused(kind: bytes, made: Create, seat: Lab, tmp_path: Path) -> None:
    files = files_of(made().paths[0])
    info = tarfile.TarInfo("members/link")
    info.type, info.linkname = kind, "/etc/passwd"
    files.insert(2, (info, b""))
    assert "not ours" in refused(seat, written(files, tmp_path / "spoilt"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "another version of sops-lab"),
        ({"arches": ["arm64"]}, "it is for arm64, and this machine is amd64"),
        ({"members": "none"}, "its manifest cannot be read"),
        ({"unknown": 1}, "its manifest cannot be read"),
    ],
)
def test_a_manifest_that_is_not_for_this_machine_is_refused(
    change: dict[str, object], said: str, made: Create, seat: Lab, tmp_path: Path
) -> None:
    files = files_of(made().paths[0])
    told = {**json.loads(files[0][1]), **change}
    files[0] = (files[0][0], json.dumps(told).encode())
    spoilt = written(files, tmp_path / "spoilt")
    with pytest.raises(LabError, match=said):
        take(seat, spoilt)
    assert everything(seat) == set()


def test_what_does_not_fit_is_refused_before_it_is_unpacked(
    made: Create, seat: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    (file,) = made().paths
    with pytest.raises(LabError, match=r"it needs 0\.1 GB in .*, and 0\.0 GB are free there"):
        take(seat, file)
    assert everything(seat) == set()


def test_whenever_it_is_killed_the_next_load_completes_it(made: Create, seat: Lab) -> None:
    (file,) = made().paths
    for number in itertools.count(1):
        shutil.rmtree(seat.root, ignore_errors=True)
        Path(seat.root).mkdir()
        # One entry is there in another version, and is replaced.
        publish(seat, {"bin/tool": b"old"}, "tool")
        killed = killed_in_child(number, Path(seat.root), lambda: take(seat, file))
        store = store_state(seat, images=[])
        faults = [store.fault(entry) or "" for entry in ENTRIES]
        assert all(fault.endswith(" is missing") for fault in faults if fault)
        if not killed:
            break
        take(seat, file)
        found = everything(seat)
        store = store_state(seat, images=[])
        assert [store.fault(entry) for entry in ENTRIES] == [None, None, None]
        assert not [name for name in found if name.startswith("store/.")]
    assert number > 10


def test_one_can_have_what_machines_of_both_kinds_need(
    full: Lab, lab: Callable[..., Settings], key: Path, tmp_path: Path
) -> None:
    """The bundle for arm64 is made on an arm64 machine."""
    pythons, trust = ("3.11",), Trust(signers(key))
    entries = {
        arch: tuple(replace(entry, arch=arch) for entry in ENTRIES) for arch in ("amd64", "arm64")
    }
    elsewhere = lab(root=f"{lab().root}-arm64").for_machine
    for name, contents in FILES.items():
        publish(
            elsewhere, {file: text + b"arm64" for file, text in contents.items()}, name, "arm64"
        )

    def made(place: Lab, arch: Arch, name: str, catalog: str = "one", **more: Any) -> Path:
        contents = Contents("0.1.0", catalog, "modules", arch, entries[arch], pythons)
        return create(place, contents, tmp_path / name, nothing, key=key, **more).paths[0]

    other = made(elsewhere, "arm64", "arm64")
    taken = partial(take_in, full, other, trust, nothing)
    both = made(full, "amd64", "both", take_in=taken)
    assert made(full, "amd64", "again", take_in=taken).read_bytes() == both.read_bytes()
    assert verify(full, both, trust, nothing).arches == ("amd64", "arm64")
    for arch, place in (("amd64", full), ("arm64", elsewhere)):
        seat = lab(root=f"{lab().root}-seat-{arch}").for_machine
        assert len(load(seat, both, trust, arch, nothing).entries) == 3  # type: ignore[arg-type]
        assert held(seat) == held(place)
    document = json.loads({info.name: text for info, text in files_of(both)}["sbom.cdx.json"])
    tools = [part for part in document["components"] if part["name"] == "tool"]
    assert len({part["hashes"][0]["content"] for part in tools}) == 2

    with pytest.raises(LabError, match="the other bundle is for amd64, too"):
        made(full, "amd64", "twice", take_in=partial(take_in, full, both, trust, nothing))
    with pytest.raises(LabError, match="by another version of sops-lab, with another catalog"):
        made(full, "amd64", "mixed", catalog="two", take_in=taken)
    other.write_bytes(other.read_bytes()[:-2000])
    with pytest.raises(LabError, match="arm64 is refused: it is cut off"):
        made(full, "amd64", "broken", take_in=taken)
    assert not [path for path in tmp_path.glob("*") if path.name in ("twice", "mixed", "broken")]


def test_the_bundle_says_what_it_is_made_of(made: Create) -> None:
    bundle = made()
    texts = {info.name: content for info, content in files_of(bundle.paths[0])}
    manifest = json.loads(texts["manifest.json"])
    assert hashlib.sha256(texts["manifest.json"]).hexdigest() == bundle.sha256
    for file in manifest["files"]:
        assert hashlib.sha256(texts[file["name"]]).hexdigest() == file["sha256"]
    for member in manifest["members"]:
        (content,) = [text for name, text in texts.items() if member["sha256"] in name]
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            member["size"],
            member["sha256"],
        )
    document = json.loads(texts["sbom.cdx.json"])
    assert {part["name"] for part in document["components"]} >= {"tool", "files", "pip", "sops-lab"}
    assert any(name.startswith("licences/pypi/pip-") for name in texts)
    assert "tool-1.0 and its Go modules" in manifest["without_licence"]
