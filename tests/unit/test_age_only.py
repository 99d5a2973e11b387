"""What a learner writes makes no sops of ours connect anywhere; without the guard it would."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.policy import sops
from sopslab.provision.facts.git import AGE_ONLY
from sopslab.provision.operations.git import ENCRYPT
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


def passed_on(text: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{AGE_ONLY}\nage_only"], input=text, capture_output=True, text=True
    )
    return done.stdout if done.returncode == 0 else ""


@pytest.mark.parametrize("more", FOREIGN)
def test_a_file_with_other_recipients_is_not_passed_on(more: str) -> None:
    text = FILE.format(more=more)
    assert sops.foreign_kinds(text)
    # A plugin of age is a program on this machine, and no connection.
    assert passed_on(text) == "" or "evil" in more


def test_a_file_with_age_recipients_is_passed_on_as_it_is() -> None:
    text = FILE.format(more="  # of ours")
    assert passed_on(text) == text
    assert sops.foreign_kinds(text) == frozenset()


@pytest.fixture
def vault() -> Iterator[tuple[str, list[str]]]:
    with listening() as service:
        yield service


def test_nothing_connects_where_the_rules_name_a_vault(
    tmp_path: Path, vault: tuple[str, list[str]]
) -> None:
    address, calls = vault
    make_identity(tmp_path / "k.agekey")
    rule = f"age: {public_key(tmp_path / 'k.agekey')}"
    rules = f"creation_rules:\n- {rule}\n  hc_vault_transit_uri: {address}/v1/transit/keys/k\n"
    (tmp_path / ".sops.yaml").write_text(rules)
    environment = {
        "PATH": f"{Path(find_tool('sops')).parent}:/usr/bin:/bin",
        "HOME": "/nonexistent",
    }
    plain = "a: b\n"

    def encrypt(script: str) -> int:
        return subprocess.run(
            ["/bin/sh", "-c", script], input=plain, cwd=tmp_path, env=environment,
            capture_output=True, text=True,
        ).returncode  # fmt: skip

    assert encrypt("timeout 5 sops encrypt --filename-override a.yaml /dev/stdin") != 0
    assert calls
    calls.clear()
    assert encrypt(f"{ENCRYPT}\nencrypt_as a.yaml") != 0
    assert calls == []
    (tmp_path / ".sops.yaml").write_text(f"creation_rules:\n- {rule}\n")
    assert encrypt(f"{ENCRYPT}\nencrypt_as a.yaml") == 0
