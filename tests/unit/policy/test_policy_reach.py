"""How far the policy looks: into large files, into strings inside strings, through every
generator."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from sopslab.policy import __main__, documents
from tests.texts import write_files

VALUE = "hunter2-of-the-test"
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{key: {VALUE}}}\n"
SECRETS = "flux/secrets/develop"


def rules(
    folder: Path, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> dict[str, set[str]]:
    """Return the rules of the findings in a folder of these files, by path."""
    write_files(folder, files)
    code = __main__.main(["check", "--json", str(folder)])
    told = json.loads(capsys.readouterr().out)
    assert VALUE not in json.dumps(told)
    assert code == (1 if told["findings"] else 0), told
    found: dict[str, set[str]] = {}
    for one in told["findings"]:
        path = str(Path(one["path"]).relative_to(folder))
        found.setdefault(path, set()).add(one["rule"])
    return found


@pytest.mark.parametrize("more", [0, 1])
def test_a_file_in_the_secrets_tree_has_at_most_five_mebibytes(
    tmp_path: Path, gitleaks: str, capsys: pytest.CaptureFixture[str], more: int
) -> None:
    # The text has only spaces, so that its content is no reason for a finding.
    text = " " * (documents.MAX_TEXT + more)
    assert documents.MAX_TEXT == 5 * 1024 * 1024
    found = rules(tmp_path, {f"{SECRETS}/large.yaml": text, "notes/large.txt": text}, capsys)
    assert found == ({f"{SECRETS}/large.yaml": {"too-large"}} if more else {})


def in_a_string(text: str) -> str:
    """Return a ConfigMap with this text as a value."""
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  file.yaml: |\n"
    return head + textwrap.indent(text, "    ")


def test_a_secret_is_found_in_a_string_of_a_string(
    tmp_path: Path, gitleaks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "once.yaml": in_a_string(SECRET),
        "twice.yaml": in_a_string(in_a_string(SECRET)),
        "thrice.yaml": in_a_string(in_a_string(in_a_string(SECRET))),
        "nothing.yaml": in_a_string(in_a_string(SECRET.replace(VALUE, '""'))),
    }
    found = rules(tmp_path, files, capsys)
    assert found == {name: {"secret-plaintext"} for name in files if name != "nothing.yaml"}


@pytest.mark.parametrize(
    "source", ["env: plain", "envs: [plain]", "files: [plain]", "files: [key=plain]"]
)
def test_no_generator_of_secrets_reads_plain_text(
    tmp_path: Path, gitleaks: str, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    generator = f"secretGenerator:\n  - name: a\n    {source}\n"
    files = {"apps/kustomization.yaml": generator, "apps/plain": "greeting=hello\n"}
    found = rules(tmp_path, files, capsys)
    assert found == {"apps/kustomization.yaml": {"generator-plaintext-source"}}
