"""The sources of records, credentials and exposures: real repositories and files of a lab."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.environment import bare_repository, solo
from sopslab.config.settings import Settings
from sopslab.errors import InputError, LabError
from sopslab.incidents.credentials import CREDENTIALS_FILE
from sopslab.incidents.records import Exposure, Incident, render_incident
from sopslab.lab.incidents.derived import derived_credentials
from sopslab.lab.incidents.history import find_exposures
from sopslab.lab.incidents.values import exposed_digests, gather, replace_value
from sopslab.lab.observe.clone import look_at_history
from sopslab.lab.observe.incidents import incident_ids, read_credentials, read_incidents
from sopslab.layout import CANARY_PATH
from sopslab.model.incidents import INCIDENTS_DIR, Cause, incident_path
from sopslab.model.results import Undecided
from tests import repositories
from tests.conftest import find_tool
from tests.texts import write_files

INCIDENT = Incident("2026-11-25-leak", Cause.VALUE_EXPOSED, ("learner",), date(2026, 11, 25))
PLAIN = (
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  API_KEY: hunter2hunter2\n"
)
ENCRYPTED = """apiVersion: v1
kind: Secret
metadata: {name: backend-secrets, namespace: develop}
data: {API_TOKEN: "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]"}
sops: {lastmodified: "2026-03-04T05:06:07Z"}
"""


def commit(folder: Path, files: dict[str, str], origin: Path) -> str:
    """Commit files in a clone and push them; make the clone and its origin if they are missing."""
    if not folder.exists():
        repositories.begin_repository(origin, folder)
    write_files(folder, files)
    return repositories.commit(folder, "Write")


@pytest.fixture
def settings(lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SOPSLAB_GITLEAKS", find_tool("gitleaks"))
    return lab()


@pytest.fixture
def platform(settings: Settings) -> Callable[[dict[str, str]], Any]:
    """Return a function that pushes files to the platform repository."""
    origin = Path(settings.git_dir, "repositories", "platform.git")
    return lambda files: commit(Path(settings.platform_dir), files, origin)


@pytest.fixture
def learner(settings: Settings) -> Callable[[dict[str, str]], str]:
    """Return a function that pushes files to the learner's repository."""
    origin = Path(bare_repository(settings, solo(settings)))
    return lambda files: commit(Path(settings.work_dir), files, origin)


def test_a_lab_without_a_platform_repository_has_no_records(settings: Settings) -> None:
    assert read_incidents(settings) == {}
    assert incident_ids(settings.platform_dir) == []
    assert read_credentials(settings) == ()


def test_only_what_may_name_an_incident_is_listed(
    settings: Settings, platform: Callable[[dict[str, str]], Any]
) -> None:
    names = ("README.md", "2026-11-25-b.yaml", "2026-11-24-a.yaml", "\x1b[2J.yaml", "deep/x.yaml")
    platform({f"{INCIDENTS_DIR}/{name}": "not read\n" for name in names})
    assert incident_ids(settings.platform_dir) == ["2026-11-24-a", "2026-11-25-b"]
    (Path(settings.platform_dir) / ".git/HEAD").unlink()
    with pytest.raises(LabError, match="cannot be read"):
        incident_ids(settings.platform_dir)


def test_what_is_pushed_is_on_record_and_what_only_lies_there_is_not(
    settings: Settings, platform: Callable[[dict[str, str]], Any]
) -> None:
    platform(
        {
            incident_path(INCIDENT.id): render_incident(INCIDENT),
            CREDENTIALS_FILE: "credentials:\n- {id: a, where: b, rotation: monthly,"
            " rotated: 2026-11-25, owner: c}\n",
        }
    )
    Path(settings.platform_dir, incident_path("2026-11-25-other")).write_text("not pushed")
    assert read_incidents(settings) == {INCIDENT.id: INCIDENT}
    assert incident_ids(settings.platform_dir) == [INCIDENT.id]
    assert [one.id for one in read_credentials(settings)] == ["a"]


def test_records_that_cannot_be_read_leave_a_finding_undecided(
    settings: Settings,
    platform: Callable[[dict[str, str]], Any],
    learner: Callable[[dict[str, str]], str],
) -> None:
    platform({"docs/incidents/a.yaml": "id: 1\n", "docs/incidents/b.yaml": "[]\n"})
    with pytest.raises(InputError) as refused:
        read_incidents(settings)
    assert {problem.split(":")[0] for problem in refused.value.problems} == {
        "docs/incidents/a.yaml", "docs/incidents/b.yaml",
    }  # fmt: skip
    work = Path(settings.work_dir)
    learner({"README.md": "nothing\n"})
    assert look_at_history(settings, work).report.findings == []
    learner({"flux/secrets/develop/a.yaml": PLAIN})
    with pytest.raises(Undecided, match="records cannot be read"):
        look_at_history(settings, work)


def test_exposures_are_found_on_the_server_and_in_the_clone(
    settings: Settings, learner: Callable[[dict[str, str]], str]
) -> None:
    environment, work = solo(settings), Path(settings.work_dir)
    pushed = learner({"flux/secrets/develop/a.yaml": PLAIN})
    (work / "b.yaml").write_text(PLAIN)
    local = repositories.commit(work, "Not pushed", push=False)
    found = find_exposures(settings, environment)
    assert {(one.commit, one.path, one.keys) for one in found} == {
        (pushed, "flux/secrets/develop/a.yaml", ("API_KEY",)),
        (local, "b.yaml", ("API_KEY",)),
    }
    assert {one.repository for one in found} == {"learner/lab"}


@pytest.mark.usefixtures("settings")
def test_another_git_server_is_asked_before_its_repository_is_judged(
    lab: Callable[..., Settings], tmp_path: Path
) -> None:
    elsewhere = lab(
        git_url="http://git.example/course", git_username="ada", git_password="not-a-secret"
    )
    environment, url = solo(elsewhere), "http://git.example/course/"
    copy = Path(bare_repository(elsewhere, environment))
    repositories.git(tmp_path, "init", "--quiet", "--bare", str(copy))
    here = f"url.file://{tmp_path}/course/.insteadOf"
    repositories.git(copy, "config", here, url)
    head = commit(tmp_path / "work", {"a.yaml": PLAIN}, tmp_path / "course" / "learner" / "lab.git")
    (found,) = find_exposures(elsewhere, environment)
    assert (found.commit, found.path, found.keys) == (head, "a.yaml", ("API_KEY",))

    repositories.git(copy, "config", "--unset", here)
    repositories.git(copy, "config", "url.file:///nowhere/.insteadOf", url)
    with pytest.raises(Undecided, match="the Git server does not answer"):
        find_exposures(elsewhere, environment)
    with pytest.raises(Undecided, match="the Git server does not answer"):
        gather(elsewhere, [environment], [found])


def test_nothing_in_a_name_is_run_where_the_command_is_pasted() -> None:
    said = replace_value("flux/secrets/develop/a$(touch x);b.yaml", "k `id`")
    command = said.removesuffix(", then push")
    assert shlex.split(command) == [
        "scripts/sops-encrypt-secret.sh", "develop", "a$(touch x);b", "--rotate-value", "k `id`",
    ]  # fmt: skip
    assert "'a$(touch x);b'" in command and "'k `id`'" in command


def test_the_values_of_an_exposure_are_known_by_hash(
    settings: Settings, learner: Callable[[dict[str, str]], str]
) -> None:
    environment = solo(settings)
    head = learner({"a.yaml": PLAIN})
    exposure = Exposure("learner/lab", head, "a.yaml", ("API_KEY",), "secret-plaintext")
    digest = hashlib.sha256(b"hunter2hunter2").hexdigest()
    assert exposed_digests(settings, environment, exposure) == {digest}
    for other in ("b.yaml", "../a.yaml"):
        unknown = Exposure("learner/lab", head, other, ("API_KEY",), "secret-plaintext")
        assert exposed_digests(settings, environment, unknown) == frozenset()


def test_a_cluster_that_cannot_be_asked_decides_nothing(
    settings: Settings, tools: Callable[..., Path], learner: Callable[[dict[str, str]], str]
) -> None:
    tools("kubectl")
    head = learner({"flux/secrets/develop/a.yaml": PLAIN})
    exposure = Exposure(
        "learner/lab", head, "flux/secrets/develop/a.yaml", ("API_KEY",), "secret-plaintext"
    )
    with pytest.raises(Undecided, match="no usable context for the cluster"):
        gather(settings, [solo(settings)], [exposure])


def test_the_lab_knows_its_identities_passwords_and_secrets(
    settings: Settings, learner: Callable[[dict[str, str]], str]
) -> None:
    day = date(2026, 1, 2)
    moment = 1767355200  # noon of that day, UTC
    for path in (
        Path(settings.keys_dir, "learner.agekey"),
        Path(settings.account_dir("flux"), "password"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (moment, moment))
    learner({"flux/secrets/develop/a.yaml": ENCRYPTED, CANARY_PATH: ENCRYPTED, "b.yaml": PLAIN})
    found = {one.id: one for one in derived_credentials(settings, [solo(settings)])}
    assert set(found) == {"identity:learner", "git:flux", "secret:learner/backend-secrets"}
    assert found["identity:learner"].rotated == found["git:flux"].rotated == day
    secret = found["secret:learner/backend-secrets"]
    assert secret.rotated == date(2026, 3, 4)
    assert secret.place is not None and secret.place.keys == ("API_TOKEN",)
