"""What a machine says of its store, and what is wrong with an entry of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pyinfra.api.exceptions import FactProcessError

from sopslab.artifacts.catalog import Entry
from sopslab.provision.facts.artifact import Answers, GoVersion, Store, StoreState, StoreSums

SUM = "5" * 64
STAT = "755 5 1.0"
ENTRY = Entry("sops", "3.13.3", "modules", "amd64", "digest", ("bin/sops",))


def describe(manifest: object = None, stat: str | None = STAT, stamp: str = STAT) -> Store:
    written = manifest or {**ENTRY.manifest, "files": {"bin/sops": SUM}}
    text = written if isinstance(written, str) else json.dumps(written)
    lines = [
        "arch\tx86_64",
        "",
        f"store/sops-3.13.3/manifest.json:{text}",
        f"store/sops-3.13.3/stamp:bin/sops\t{stamp}",
        "file\tsops-3.13.3/manifest.json\t644 1 1.0",
        *([f"file\tsops-3.13.3/bin/sops\t{stat}"] if stat else []),
    ]
    return StoreState().process(lines)


def test_an_entry_that_is_what_its_manifest_says_has_no_fault() -> None:
    assert describe().fault(ENTRY) is None


def test_a_changed_time_is_forgiven_and_a_changed_sum_is_not() -> None:
    store = describe(stat="755 5 2.0")
    assert store.doubtful() == ["sops-3.13.3/bin/sops"]
    assert replace(store, sums={"sops-3.13.3/bin/sops": SUM}).fault(ENTRY) is None
    fault = replace(store, sums={"sops-3.13.3/bin/sops": "6" * 64}).fault(ENTRY)
    assert fault == "sops-3.13.3/bin/sops is not what its manifest says"


@pytest.mark.parametrize(
    ("store", "fault"),
    [
        (Store("amd64"), "sops-3.13.3 is missing"),
        (describe(stat=None), "sops-3.13.3/bin/sops is missing"),
        (describe("not JSON"), "sops-3.13.3 was made by another recipe"),
        (describe("[1]"), "sops-3.13.3 was made by another recipe"),
        (describe({**ENTRY.manifest, "recipe": "x"}), "sops-3.13.3 was made by another recipe"),
        (describe({**ENTRY.manifest, "files": {}}), "sops-3.13.3/bin/sops is missing"),
        (
            describe(stat="644 5 1.0", stamp="644 5 1.0"),
            "sops-3.13.3/bin/sops cannot be run",
        ),
    ],
    ids=["no entry", "no file", "no manifest", "no object", "other recipe", "unlisted", "no mode"],
)
def test_a_fault_is_named(store: Store, fault: str) -> None:
    assert store.fault(ENTRY) == fault


def test_the_whole_state_is_read() -> None:
    store = StoreState().process(
        [
            "arch\taarch64",
            'image\t["sops-lab/git:1","other:2"]\t{"sops-lab.recipe":"digest"}',
            'image\t["plain:1"]\tnull',
            "source:modules",
            "link\tsops\t../store/sops-3.13.3/bin/sops",
            "cache\tgo-build",
        ]
    )
    assert store == Store(
        "arm64",
        "modules",
        {},
        {"sops": "../store/sops-3.13.3/bin/sops"},
        {"sops-lab/git:1": "digest", "other:2": "digest", "plain:1": ""},
        ("go-build",),
    )


@pytest.mark.parametrize("lines", [[], ["arch\tmips"], ["arch\tx86_64", "what is this"]])
def test_what_cannot_be_read_fails_the_fact(lines: list[str]) -> None:
    with pytest.raises(FactProcessError, match="unknown way"):
        StoreState().process(lines)


def test_sums_are_read_by_path() -> None:
    assert StoreSums().process([f"{SUM}  a-1/bin/a b"]) == {"a-1/bin/a b": SUM}


@pytest.mark.parametrize(("line", "answers"), [("yes", True), ("no", False)])
def test_a_probe_is_read(line: str, answers: bool) -> None:
    assert Answers().process([line]) is answers


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        (["go1.26.8"], (1, 26, 8)),
        (["go1.27rc1"], (1,)),
        (["go1.26.8 X:nocoverageredesign"], (1, 26, 8)),
        ([], ()),
        (["devel"], ()),
    ],
)
def test_the_version_of_go_is_read(lines: list[str], version: tuple[int, ...]) -> None:
    assert GoVersion().process(lines) == version
