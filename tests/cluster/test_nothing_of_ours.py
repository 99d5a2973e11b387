"""A cluster that somebody made by hand and a Git server that somebody runs, both at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sopslab.artifacts.catalog import load_catalog
from tests.cluster.git_elsewhere import PASSWORD, USER, git_server
from tests.cluster.hand_made import hand_made_cluster, identities, users_kubectl
from tests.cluster.lab import Lab, lab_name, run
from tests.cluster.learner import Learner

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]


def test_the_chapter_works_and_down_leaves_both_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in the README: the password is in no file.
    monkeypatch.setenv("SOPSLAB_GIT_PASSWORD", PASSWORD)
    name = lab_name("guest")
    image = load_catalog(Lab(name, tmp_path, {}).settings.catalog).git_tag
    with git_server(tmp_path / "server", image) as url:
        data = {"git_url": url, "git_username": USER}
        with hand_made_cluster(name, tmp_path / "lab", data) as lab:
            kubeconfig = Path(lab.data["kubeconfig"])
            before, content = identities(users_kubectl(lab), lab), kubeconfig.read_bytes()

            assert lab.up()["changed"] > 0
            assert lab.up()["changed"] == 0
            assert lab.traces() == [], "it needs no container and no network of its own"
            learner = Learner(lab, lab.learner(tmp_path))
            learner.finish()
            pushed = run(["git", "rev-parse", "HEAD"], cwd=learner.work).stdout
            gone = lab.sopslab("down", "--json")
            assert json.loads(gone.stdout)["ok"]

            assert identities(users_kubectl(lab), lab) == before
            assert kubeconfig.read_bytes() == content
            bare = tmp_path / "server" / "learner" / "lab.git"
            assert run(["git", "rev-parse", "refs/heads/main"], cwd=bare).stdout == pushed
