"""Whatever a learner writes, the lab's own sops connects nowhere; without the guard, it would."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.tools.sops import asks_elsewhere, encrypt
from sopslab.policy import sops
from tests.conftest import find_tool
from tests.listening import listening
from tests.repositories import make_identity, public_key

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
]


@pytest.mark.parametrize("more", FOREIGN)
def test_a_file_with_other_recipients_is_not_passed_on(more: str) -> None:
    text = FILE.format(more=more)
    assert sops.foreign_kinds(text)
    # A plugin of age is a program on this machine, and not a connection.
    assert asks_elsewhere(text.encode()) or "evil" in more


def test_a_file_with_age_recipients_is_passed_on() -> None:
    text = FILE.format(more="  # of ours")
    assert not asks_elsewhere(text.encode())
    assert sops.foreign_kinds(text) == frozenset()


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
