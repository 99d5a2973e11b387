"""Whatever a learner writes, the lab's own sops connects nowhere; without the guard, it would."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.tools.programs import Answer
from sopslab.lab.tools.sops import NOT_STARTED, decrypt, encrypt
from sopslab.policy import sops
from tests.conftest import find_tool
from tests.listening import listening
from tests.repositories import make_identity, public_key
from tests.texts import write_program

FILE = """a: ENC[AES256_GCM,data:pgpk,iv:kms=,tag:pgp=,type:str]
sops:
  age:
    - recipient: age1pgpkmsvqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq
      enc: |
        kmspgpkms
{more}
  lastmodified: "2026-11-24T10:00:00Z"
"""
FOREIGN = [
    "  hc_vault: [{enc: x}]",
    "  kms:\n  - {arn: x, enc: x}",
    '  "azure_kv" : [{enc: x}]',
    "  'gcp_kms': [{enc: x}]",
    "  ? pgp\n  : [{enc: x}]",
    '  "\\x70gp": [{enc: x}]',
    "  key_groups: [{hckms: [{enc: x}]}]",
    "  age : [{recipient: age1evil1qqqqqqqqqq, enc: x}]",
    # What cannot be read may name anything.
    "  kms: [",
]


@pytest.fixture
def standing_in(lab: Callable[..., Settings]) -> Settings:
    """A lab whose sops prints what it is given, and ends with 7."""
    settings = lab()
    write_program(Path(settings.bin_dir) / "sops", "#!/bin/sh\ncat\nexit 7\n")
    return settings


@pytest.mark.parametrize("more", FOREIGN)
def test_a_file_with_other_recipients_is_not_passed_on(more: str, standing_in: Settings) -> None:
    text = FILE.format(more=more)
    assert sops.foreign_kinds(text)
    assert decrypt(standing_in, "k", text.encode()) == Answer(NOT_STARTED)


@pytest.mark.parametrize("more", ["  # of ours", '  "note": "kms: and pgp: in a text"'])
def test_a_file_with_age_recipients_is_passed_on(more: str, standing_in: Settings) -> None:
    text = FILE.format(more=more)
    assert sops.foreign_kinds(text) == frozenset()
    assert decrypt(standing_in, "k", text.encode()) == Answer(7, text.encode())


def test_rules_that_cannot_be_read_are_not_passed_on(standing_in: Settings) -> None:
    with pytest.raises(LabError, match="cannot be read"):
        encrypt(standing_in, b"creation_rules: [", "a.yaml", b"a: b\n")


@pytest.fixture
def vault() -> Iterator[tuple[str, list[str]]]:
    with listening() as service:
        yield service


def test_nothing_connects_where_the_rules_name_a_vault(
    tmp_path: Path,
    vault: tuple[str, list[str]],
    lab: Callable[..., Settings],
    tools: Callable[..., Path],
) -> None:
    address, calls = vault
    tools("sops")
    settings = lab()
    Path(settings.lab_dir).mkdir(parents=True)
    make_identity(tmp_path / "k.agekey")
    rule = f"age: {public_key(tmp_path / 'k.agekey')}"
    rules = f"creation_rules:\n- {rule}\n  hc_vault_transit_uri: {address}/v1/transit/keys/k\n"
    (tmp_path / ".sops.yaml").write_text(rules)
    unguarded = subprocess.run(
        [find_tool("sops"), "encrypt", "--filename-override", "a.yaml", "/dev/stdin"],
        input=b"a: b\n", cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True, timeout=30,
    )  # fmt: skip
    assert unguarded.returncode != 0
    assert calls
    calls.clear()
    with pytest.raises(LabError, match="names recipients of other kinds than age"):
        encrypt(settings, rules.encode(), "a.yaml", b"a: b\n")
    assert calls == []
    assert encrypt(settings, f"creation_rules:\n- {rule}\n".encode(), "a.yaml", b"a: b\n")
