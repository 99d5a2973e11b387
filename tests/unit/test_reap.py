"""Which labs `sopslab reap` takes down, and which it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from sopslab.cli.main import main
from sopslab.config.inputs import CHOOSING, local_settings
from sopslab.errors import Exit, LabError
from sopslab.run import reaping
from sopslab.run.reaping import reap
from sopslab.run.runner import Result
from tests.processes import holding

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def lab(root: Path, name: str, ends_in: float | None = None) -> Path:
    """Make the folder of a lab whose lease ends this many hours after `NOW`."""
    folder = root / "labs" / name
    (folder / "keys").mkdir(parents=True)
    if ends_in is not None:
        until = (NOW + timedelta(hours=ends_in)).isoformat()
        lease = {"hours": 6, "until": until, "git_port": 40123}
        (folder / "lease.json").write_text(json.dumps(lease))
    return folder


def test_only_labs_whose_lease_has_ended_are_taken_down(tmp_path: Path) -> None:
    for name, ends_in in (("ci-old", -1), ("ci-now", 0), ("ci-new", 1), ("lab", None)):
        lab(tmp_path, name, ends_in)
    (lab(tmp_path, "ci-odd") / "lease.json").write_text("{")
    lab(tmp_path, "No Lab", -1)
    taken: list[str] = []

    def take_down(folder: Path) -> list[str]:
        taken.append(folder.name)
        return []

    reaped = reap(str(tmp_path), NOW, take_down)

    assert taken == reaped.gone == ["ci-now", "ci-old"]
    assert reaped.failed == {}
    assert set(reaped.stays) == {"ci-new", "lab", "ci-odd", "No Lab"}
    assert reaped.stays["ci-new"] == "its lease ends at 2026-11-29T13:00:00+00:00"
    assert reaped.stays["lab"] == "it has no lease"
    assert "lease.json is damaged" in reaped.stays["ci-odd"]


def test_a_lab_that_is_worked_on_stays(tmp_path: Path) -> None:
    folder = lab(tmp_path, "ci-busy", -1)
    with holding(folder / "lock") as holder:
        reaped = reap(str(tmp_path), NOW, lambda folder: pytest.fail(f"{folder} is taken down"))
    assert reaped.stays == {"ci-busy": f"it is being worked on by process {holder.pid}"}
    # The lock is free now, although its file is still there.
    assert reap(str(tmp_path), NOW, lambda _: ()).gone == ["ci-busy"]


def test_one_that_cannot_be_taken_down_is_told_and_the_others_are(tmp_path: Path) -> None:
    for name in ("ci-a", "ci-b"):
        lab(tmp_path, name, -1)
    reaped = reap(
        str(tmp_path), NOW, lambda folder: ["Docker hangs"] if folder.name == "ci-a" else []
    )
    assert (reaped.gone, reaped.failed) == (["ci-b"], {"ci-a": "Docker hangs"})


def test_a_lab_that_is_on_another_docker_is_not_taken_for_gone(tmp_path: Path) -> None:
    for name, docker in (("ci-a", "tcp://docker:2376"), ("ci-b", None)):
        file = lab(tmp_path, name, -1) / "lease.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "docker_host": docker}))
    reaped = reap(str(tmp_path), NOW, lambda _: ())
    assert reaped.gone == ["ci-b"]
    assert reaped.failed["ci-a"].endswith("another Docker: set DOCKER_HOST=tcp://docker:2376")
    there = reap(str(tmp_path), NOW, lambda _: (), "tcp://docker:2376")
    assert there.gone == ["ci-a"] and there.failed["ci-b"].endswith("unset DOCKER_HOST")


def test_another_labs_settings_do_not_count_where_one_is_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.yaml").write_text(
        "cluster_provider: existing\nkubeconfig: /home/ada/.kube/config\ncontext: production\n"
        "git_url: https://git.example\ngit_username: ada\ngit_password: s3cret-s3cret\n"
    )
    monkeypatch.setenv("SOPSLAB_FILE", str(tmp_path / "other.yaml"))
    told: list[Mapping[str, str]] = []

    def run(_deploy: str, data: Mapping[str, str], log: Path, *_: object) -> Result:
        told.append(data)
        return Result(Exit.OK, 0.0, [], [], log)

    monkeypatch.setattr(reaping, "run", run)
    assert reaping.take_down(lab(tmp_path, "007", -1)) == []
    # pyinfra reads its data in this way.
    settings = local_settings({name: json.loads(text) for name, text in told[0].items()})
    assert (settings.lab, settings.cluster_provider, settings.context) == ("007", "kind", None)
    assert settings.purge and settings.lease and settings.git_url is None


def test_who_stops_it_stops_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ci-a", "ci-b"):
        lab(tmp_path, name, -24 * 365)
    tried: list[Path] = []

    def run(_deploy: str, _data: Mapping[str, str], log: Path, *_: object) -> Result:
        tried.append(log.parent)
        return Result(Exit.TERMINATED, 0.0, [], ["stopped"], log)

    monkeypatch.setattr(reaping, "run", run)
    monkeypatch.setenv("SOPSLAB_ROOT", str(tmp_path))
    done = CliRunner().invoke(main, ["reap", "--json"])
    told = json.loads(done.stdout)
    assert (done.exit_code, [folder.name for folder in tried]) == (Exit.TERMINATED, ["ci-a"])
    assert (told["ok"], told["gone"], told["failed"]) == (False, [], {})


def test_a_run_that_cannot_begin_keeps_no_other_lab_from_being_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ci-a", "ci-b"):
        lab(tmp_path, name, -1)

    def run(_deploy: str, _data: Mapping[str, str], log: Path, *_: object) -> Result:
        if log.parent.name == "ci-a":
            raise LabError("the log cannot be written", Exit.HOST)
        return Result(Exit.OK, 0.0, [], [], log)

    monkeypatch.setattr(reaping, "run", run)
    reaped = reap(str(tmp_path), NOW, reaping.take_down)
    assert (reaped.gone, list(reaped.failed)) == (["ci-b"], ["ci-a"])


def test_where_no_lab_ever_was_there_is_nothing_to_do(tmp_path: Path) -> None:
    reaped = reap(str(tmp_path), NOW, lambda _: ())
    assert (reaped.gone, reaped.stays, reaped.failed) == ([], {}, {})


def test_a_dry_run_says_it_and_leaves_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CHOOSING:
        monkeypatch.delenv(name, raising=False)
    # The verb goes by the real clock, so this lease has to be old at any time.
    long_ago = (datetime(2020, 1, 1, tzinfo=UTC) - NOW) / timedelta(hours=1)
    folder = lab(tmp_path, "ci-old", long_ago)
    lab(tmp_path, "lab")
    done = CliRunner().invoke(main, ["reap", "--dry-run"], env={"SOPSLAB_ROOT": str(tmp_path)})
    assert (done.exit_code, done.stdout.splitlines()) == (
        0, ["ci-old would be taken down", "lab stays: it has no lease"],
    )  # fmt: skip
    assert (folder / "keys").is_dir()
