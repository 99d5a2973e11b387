"""The policy judges what the real sops and age write, and what people do to it afterwards."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sopslab.policy import callers
from tests.conftest import find_tool
from tests.texts import replaced

SECRET = (
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n"
    '  password: hunter2\n  empty: ""\n  nothing: null\n  number: 42\n  on: true\n'
    "data:\n  blob: aHVudGVyMg==\n"
)
REGEX = "--encrypted-regex=^(data|stringData)$"


class Lab:
    """A folder with age identities of both kinds, and sops."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sops, self._keygen = find_tool("sops"), find_tool("age-keygen")
        self.identity, self.recipient = self._key()
        self.identity_pq, self.recipient_pq = self._key("-pq")

    def _key(self, *options: str) -> tuple[str, str]:
        made = subprocess.run([self._keygen, *options], capture_output=True, text=True, check=True)
        public = next(line for line in made.stdout.splitlines() if "public key" in line)
        return made.stdout, public.rpartition(" ")[2]

    def encrypt(self, path: str, text: str, *options: str, to: str = "") -> Path:
        """Encrypt *text* with sops into *path*."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        command = [self._sops, "encrypt", "--in-place", *options]
        if to != "rules":
            command.append(f"--age={to or self.recipient}")
        subprocess.run(
            [*command, str(target)],
            env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"},
            cwd=self.folder,
            capture_output=True,
            check=True,
        )
        return target


@pytest.fixture
def lab(tmp_path: Path, gitleaks: str) -> Lab:
    """A new folder with identities."""
    return Lab(tmp_path)


def rules_of(path: Path) -> set[str]:
    answer = callers.check([str(path)])
    assert answer.undecided == []
    return {finding.rule for finding in answer.findings}


@pytest.mark.parametrize("folder", ["", "flux/secrets/develop/"])
def test_encrypted_secrets_pass(lab: Lab, folder: str) -> None:
    lab.encrypt(f"{folder}a.yaml", SECRET, REGEX)
    lab.encrypt(f"{folder}two.yaml", f"{SECRET}---\n{SECRET}", REGEX)
    lab.encrypt(f"{folder}pq.yaml", SECRET, REGEX, to=lab.recipient_pq)
    lab.encrypt(f"{folder}list.yaml", "kind: List\napiVersion: v1\nitems:\n" + _item(), REGEX)
    lab.encrypt(
        f"{folder}a.json",
        '{"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "b\\u00e9\\n"}}',
        REGEX,
    )
    assert rules_of(lab.folder) == set()


def _item() -> str:
    lines = SECRET.splitlines()
    return "- " + "\n  ".join(lines) + "\n"


def test_other_formats_pass(lab: Lab) -> None:
    lab.encrypt("values.yaml", "# note\ndb:\n  password: hunter2hunter2\n  list: [1, 2, a]\n")
    lab.encrypt("flux/secrets/develop/app.env", "# note\nPASSWORD=hunter2hunter2\nLEVEL=debug\n")
    lab.encrypt("app.ini", "[db]\npassword = hunter2hunter2\n")
    lab.encrypt("a.json", '{"a": {"password": "hunter2hunter2"}}')
    lab.encrypt("age.agekey", lab.identity, "--input-type=binary")
    lab.encrypt("id_ed25519", lab.identity, "--input-type=binary")
    assert rules_of(lab.folder) == set()


def test_files_encrypted_by_rules_follow_them(lab: Lab) -> None:
    config = lab.folder / ".sops.yaml"
    rule = "creation_rules:\n- path_regex: flux/secrets/.*\\.yaml$\n"
    regex = "  encrypted_regex: ^(data|stringData)$\n"
    config.write_text(f"{rule}{regex}  age: {lab.recipient}\n")
    path = lab.encrypt("flux/secrets/develop/a.yaml", SECRET, to="rules")
    assert rules_of(lab.folder) == set()
    config.write_text(f"{rule}{regex}  age: >-\n    {lab.recipient},\n    {lab.recipient_pq}\n")
    assert rules_of(lab.folder) == {"sops-missing-recipient"}
    config.write_text(f"{rule}{regex}  age: {lab.recipient_pq}\n")
    assert rules_of(lab.folder) == {"sops-missing-recipient", "sops-wrong-recipient"}
    config.write_text("creation_rules:\n- path_regex: other\n  age: x\n")
    assert rules_of(lab.folder) == {"sops-no-rule"}
    config.write_text("creation_rules: [")
    (reason,) = callers.check([str(lab.folder)]).undecided
    assert reason == f"{path} cannot be judged: .sops.yaml is not one valid YAML document"


def test_mistakes_with_sops_are_refused(lab: Lab) -> None:
    typo = lab.encrypt("typo.yaml", SECRET, "--encrypted-regex=^(dta|stringdata)$")
    assert rules_of(typo) == {"secret-plaintext", "sops-wrong-regex"}
    suffix = lab.encrypt("suffix.yaml", SECRET.replace("password", "password_unencrypted"))
    assert rules_of(suffix) == {"secret-unencrypted-suffix"}
    mixed = lab.encrypt("mixed.yaml", SECRET, REGEX, to=f"{lab.recipient},{lab.recipient_pq}")
    assert rules_of(mixed) == {"sops-mixed-recipients"}
    whole = lab.encrypt("flux/secrets/develop/whole.yaml", SECRET)
    assert rules_of(whole) == set()


def test_edits_of_encrypted_files_are_refused(lab: Lab) -> None:
    path = lab.encrypt("a.yaml", SECRET, REGEX)
    encrypted = path.read_text()
    path.write_text(replaced(encrypted, "stringData:\n", "stringData:\n    added: hunter2\n"))
    assert rules_of(path) == {"secret-plaintext"}
    head, _, tail = encrypted.partition("    mac: ")
    path.write_text(head + tail.partition("\n")[2])
    assert rules_of(path) == {"sops-no-mac"}
    path.write_text(encrypted.replace("ENC[AES256_GCM,data:", "ENC[AES256_GCM,data:!", 1))
    assert rules_of(path) == {"secret-lookalike"}
    path.write_text(encrypted + f"---\n{SECRET}")
    assert rules_of(path) == {"secret-plaintext"}


def test_real_identities_are_found_and_recipients_are_not(lab: Lab) -> None:
    public = lab.folder / "recipients.txt"
    public.write_text(f"{lab.recipient}\n{lab.recipient_pq}\n")
    assert rules_of(public) == set()
    for identity in (lab.identity, lab.identity_pq):
        for text in (identity, identity.lower(), f"x = '''{identity.splitlines()[-1]}'''"):
            private = lab.folder / "note.md"
            private.write_text(text)
            assert rules_of(private) == {"key-age"}
