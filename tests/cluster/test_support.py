"""`sopslab support` on a real lab: everything that helps is in it, and nothing that is secret."""

from __future__ import annotations

import base64
import json
import re
import stat
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest

from sopslab.config.naming import git_server_name
from tests.cluster.lab import Lab
from tests.cluster.learner import Learner

pytestmark = [pytest.mark.restores, pytest.mark.soak]


def contents(path: Path) -> dict[str, bytes]:
    """Return the files of a report by name, without its folder."""
    with tarfile.open(path) as packed:
        found = {}
        for member in packed.getmembers():
            content = packed.extractfile(member)
            assert content is not None
            found[member.name.partition("/")[2]] = content.read()
        return found


def every_secret(lab: Lab) -> set[bytes]:
    """Return every secret of the lab, found in other ways than the report finds them: in the files
    of keys and logins, in the kubeconfig, and in the cluster's Secrets.
    """
    found: set[bytes] = set()
    folder = Path(lab.settings.lab_dir)
    for place in ("keys", "git/credentials", "git/receiver"):
        for path in (folder / place).rglob("*"):
            if path.is_file() and path.suffix != ".pub" and path.name != "username":
                lines = path.read_bytes().split()
                found |= {line for line in lines if len(line) > 20 and b"age1" not in line}
    kubeconfig = (folder / "kubeconfig").read_bytes()
    coded = re.findall(rb"client-key-data: (\S+)", kubeconfig)
    assert coded
    found |= set(coded)
    found |= {line for key in coded for line in base64.b64decode(key).split() if len(line) > 30}
    listing = json.loads(lab.kubectl("get", "secrets", "--all-namespaces", "-o", "json"))
    for secret in listing["items"]:
        for name, value in (secret.get("data") or {}).items():
            if len(base64.b64decode(value)) >= 16 and not name.endswith(".crt"):
                found.add(value.encode())
                lines = base64.b64decode(value).split()
                found |= {line for line in lines if len(line) > 15 and b"age1" not in line}
    assert len(found) > 10
    return found


def test_no_secret_that_the_lab_knows_is_in_it(lab: Lab, tmp_path: Path) -> None:
    learner = Learner(lab, lab.learner(tmp_path))
    known = every_secret(lab)
    key = next(value for value in known if value.startswith(b"AGE-SECRET-KEY-"))
    password = Path(lab.settings.account_dir("flux"), "password").read_bytes().strip()
    # They got into a log, in every encoding.
    log = Path(lab.settings.lab_dir, "log", "20200101T000000.0-planted.log")
    dresses = [key, password, quote(password, safe="").encode(), base64.b64encode(b"x:" + password)]
    log.write_bytes(b"it began\n" + b"\n".join(dresses) + b"\nit ended\n")
    path = tmp_path / "report.tar.gz"
    try:
        told = lab.run("sopslab", "support", "--output", str(path), cwd=learner.work)
    finally:
        log.unlink()
    files = contents(path)
    planted = files[f"runs/{log.name}"]
    assert planted.startswith(b"it began\n[redacted: ") and planted.endswith(b"\nit ended\n")
    everything = b"\n".join(files.values()) + told.stdout.encode() + told.stderr.encode()
    assert not [value[:4] for value in known | set(dresses[:3]) if value in everything]
    assert base64.b64encode(b"x:" + password)[4:-4] not in everything
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_helps_is_in_it(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    answer = json.loads(lab.run("sopslab", "support", "--json", "--output", str(path)).stdout)
    assert answer["ok"] and answer["missing"] == []
    files = contents(path)
    assert lab.node.encode() in files["cluster/nodes.txt"]
    assert b"name: secrets-develop" in files["flux/kustomizations.yaml"]
    assert b"--no-cross-namespace-refs=true" in files["flux/deployments.yaml"]
    assert b"server is reconciling" in files["flux/kustomize-controller.log"] or (
        b"Reconciliation finished" in files["flux/kustomize-controller.log"]
    )
    assert b"flux-system/sops-age Opaque age.agekey" in files["cluster/secrets.txt"]
    assert json.loads(files["status.json"])["up"]
    assert json.loads(files["doctor.json"])["ok"]
    assert {check["id"] for check in json.loads(files["verify.json"])["checks"]} >= {"key"}
    runs = [json.loads(text) for name, text in files.items() if re.match(r"runs/.*\.json", name)]
    assert any(step["seconds"] > 0 for run in runs for step in run["steps"])
    assert b"sops 3." in files["tools.txt"]
    # The Git server logs nothing if nothing went wrong.
    silent = f"docker/{git_server_name(lab.name)}.log"
    assert not [name for name, text in files.items() if not text and name != silent]


def test_a_cluster_that_does_not_answer_leaves_the_rest(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    lab.run("docker", "pause", lab.node)
    try:
        answer = json.loads(lab.run("sopslab", "support", "--json", "--output", str(path)).stdout)
    finally:
        lab.run("docker", "unpause", lab.node)
    assert answer["ok"]
    assert any("the cluster's own Secrets" in sentence for sentence in answer["missing"])
    files = contents(path)
    assert b"Paused" in files["docker/containers.txt"]
    assert "machine.json" in files
