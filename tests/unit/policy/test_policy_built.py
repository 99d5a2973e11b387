"""The result of a build: each value is encrypted in the source, or refused. The builder is Flux's
own."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from sopslab.policy import built
from sopslab.policy.findings import Undecidable
from tests.conftest import find_tool
from tests.unit.policy import policy_material

ENCODED = base64.b64encode(b"hunter2").decode()
NAME = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"
FLAT = policy_material.render("A={{ enc }}\n{{ sops_dotenv }}\n")
WHOLE = policy_material.render("{{ sops_binary }}\n")


def check(text: str) -> list[str]:
    """Return what is wrong with the build of *text*; check that no value is shown."""
    findings = built.check(text, "flux/secrets/develop", "c")
    assert {finding.rule for finding in findings} <= {"built-plaintext"}
    assert "hunter2" not in str(findings)
    assert ENCODED not in str(findings)
    return [finding.message.partition(" of ")[0] for finding in findings]


def coded(text: str) -> str:
    return base64.b64encode(built.marked(text.encode())).decode()


@pytest.mark.parametrize(
    "values",
    [
        f"stringData: {{a: {built.MARK}, b: '', c: null}}",
        f"data: {{a: {built.MARK}, b: {coded('')}}}",
        f"data: {{app.env: {coded(FLAT)}}}",
        f"data: {{a: {coded(WHOLE)}}}",
        f"data: {{A: {coded(built.MARK)}, sops_mac: {coded('x')}, sops_version: {coded('3')}}}",
        f"data: {{ca.crt: {coded(policy_material.render('{{ certificate }}'))}}}",
        f'stringData: {{a: "{policy_material.encrypted_value()}"}}',
        "type: kubernetes.io/service-account-token",
    ],
)
def test_what_was_encrypted_passes(values: str) -> None:
    assert check(f"{NAME}{values}\n") == []


@pytest.mark.parametrize(
    "values",
    [
        "stringData: {a: hunter2}",
        f"data: {{a: {ENCODED}}}",
        f"Data: {{a: {ENCODED}}}",
        "data: {a: KioqU09QUyoqKg==}",
        f"data: {{a: {coded(f'{built.MARK} and hunter2')}}}",
        f"data: {{a: {coded(FLAT + 'B=hunter2')}}}",
        f"data: {{a: {coded(WHOLE + 'hunter2')}}}",
        "stringData: {a: '${hunter2}'}",
        "data: {sops_password: aHVudGVyMg==}",
    ],
)
def test_what_was_not_is_refused(values: str) -> None:
    assert len(check(f"{NAME}{values}\n")) == 1
    assert len(check("kind: List\nitems:\n- " + f"{NAME}{values}".replace("\n", "\n  "))) == 1


def test_what_cannot_be_read_is_undecided() -> None:
    with pytest.raises(Undecidable):
        check("kind: [Secret\n")


def test_the_mask_of_the_builder_hides_nothing(tmp_path: Path) -> None:
    files = {
        "kustomization.yaml": "resources: [db.css, web.css]\n"
        "secretGenerator:\n- {name: env, envs: [app.env]}\n- {name: whole, files: [a.json]}\n"
        "patches:\n- target: {kind: Secret, name: db}\n  patch: |-\n"
        f"    - {{op: replace, path: /data/late, value: {ENCODED}}}\n",
        "db.css": policy_material.render(
            f"{NAME}data:\n  a: {{{{ enc }}}}\n  late: {{{{ enc }}}}\n{{{{ sops }}}}\n"
        ),
        "web.css": f"{NAME.replace('db', 'web')}stringData: {{a: hunter2}}\n",
        "app.env": FLAT,
        "a.json": WHOLE,
    }
    for name, text in files.items():
        (tmp_path / name).write_bytes(built.marked(text.encode()))
    wanted = tmp_path / "wanted.yml"
    wanted.write_text(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        "metadata: {name: a, namespace: lab}\nspec: {interval: 1m, path: ., prune: true,\n"
        "  sourceRef: {kind: GitRepository, name: a}}\n"
    )
    done = subprocess.run(
        [find_tool("flux"), "build", "kustomization", "a", "--namespace=lab", "--dry-run",
         f"--path={tmp_path}", f"--kustomization-file={wanted}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert check(done.stdout) == ["data.late", "stringData.a"]
