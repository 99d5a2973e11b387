"""Verbs and pyinfra read the same settings of the local lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.inputs import (
    CHOOSING,
    CLASSROOM,
    SEATS,
    local_settings,
    meant_lab,
    seat_settings,
)
from sopslab.config.settings import SeatMachine, load_settings
from sopslab.errors import InputError
from sopslab.layout import PROJECT

VARIABLES = (
    *CHOOSING,
    "DOCKER_HOST",
    "SOPSLAB_GIT_PASSWORD",
    "XDG_DATA_HOME",
)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def seen_by_pyinfra(inventory: str = "inventories/local.py") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", inventory, "debug-inventory", "--json"],
        cwd=PROJECT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    (host,) = json.loads(done.stdout)
    return dict(host["data"])


def test_pyinfra_sees_the_same_defaults(tmp_path: Path) -> None:
    assert local_settings() == load_settings(seen_by_pyinfra())
    assert local_settings().root == f"{tmp_path}/home/.local/share/sops-lab"


def test_pyinfra_sees_the_same_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab.yaml").write_text(
        "root: /srv/from file\nlearner: {id: ada, name: Ada, email: ada@example.org}\n"
        "git_url: https://git.example\ngit_username: ada\n"
    )
    monkeypatch.setenv("SOPSLAB_FILE", str(tmp_path / "lab.yaml"))
    monkeypatch.setenv("SOPSLAB_LAB", "2026")
    monkeypatch.setenv("SOPSLAB_ROOT", str(tmp_path))
    monkeypatch.setenv("SOPSLAB_GIT_PASSWORD", "00123")
    settings = local_settings()
    assert settings == load_settings(seen_by_pyinfra())
    # The file counts before the environment, and the environment before the defaults.
    assert (settings.root, settings.lab) == ("/srv/from file", "2026")
    assert (settings.learner.id, settings.git_password) == ("ada", "00123")


def test_where_data_goes_by_default_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert local_settings().root == f"{tmp_path}/data/sops-lab"
    monkeypatch.setenv("SOPSLAB_ROOT", str(tmp_path / "own root"))
    assert local_settings().root == f"{tmp_path}/own root"


def test_without_a_home_the_password_database_says_where_data_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOME")
    assert Path(local_settings().root).is_absolute()


def test_what_a_verb_says_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab.yaml").write_text("force: false\nlab: demo\n")
    monkeypatch.setenv("SOPSLAB_FILE", str(tmp_path / "lab.yaml"))
    settings = local_settings({"force": True})
    assert (settings.force, settings.lab) == (True, "demo")


def test_who_has_left_a_roster_is_asked_only_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab.yaml").write_text("prune: true\nspares: 2\n")
    monkeypatch.setenv("SOPSLAB_FILE", str(tmp_path / "lab.yaml"))
    alone, together = local_settings(), local_settings(inventory=CLASSROOM)
    assert (alone.prune, alone.spares) == (False, 0)
    assert (together.prune, together.spares) == (True, 2)


@pytest.mark.parametrize("value", ["Demo", "", "a b", "$(id)", "-x"])
def test_a_bad_name_from_the_environment_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOPSLAB_LAB", value)
    with pytest.raises(InputError, match=r"lab: .* is refused"):
        local_settings()


def test_an_empty_file_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPSLAB_FILE", "")
    with pytest.raises(InputError, match="cannot be read"):
        local_settings()


def test_the_class_is_the_roster_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = local_settings(inventory=CLASSROOM)
    (tmp_path / "class.yaml").write_text("- {id: zoe, name: Zoë}\n- {id: li, name: 李雷}\n")
    monkeypatch.setenv("SOPSLAB_ROSTER", str(tmp_path / "class.yaml"))
    settings = local_settings(inventory=CLASSROOM)
    assert [seat.id for seat in settings.seats] == ["zoe", "li"]
    assert settings == load_settings(seen_by_pyinfra(CLASSROOM))
    assert local_settings().seats == ()

    # An empty value names no roster, and a missing file is not a class without learners.
    monkeypatch.setenv("SOPSLAB_ROSTER", "")
    assert local_settings(inventory=CLASSROOM) == example
    monkeypatch.setenv("SOPSLAB_ROSTER", str(tmp_path / "none.yaml"))
    with pytest.raises(InputError, match=r"none\.yaml"):
        local_settings(inventory=CLASSROOM)


def test_a_machine_that_is_a_seat_has_a_lab_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "home" / ".local" / "share" / "sops-lab"
    root.mkdir(parents=True)
    (root / "lab.yaml").write_text("learner: {id: ada, name: Ada, email: ada@example.org}\n")
    assert local_settings().learner.id == "ada"
    assert local_settings() == load_settings(seen_by_pyinfra())
    # Another root belongs to another machine, and a file that is named counts before this one.
    monkeypatch.setenv("SOPSLAB_ROOT", str(tmp_path))
    assert local_settings().learner.id == "learner"
    monkeypatch.delenv("SOPSLAB_ROOT")
    (tmp_path / "other.yaml").write_text("lab: other\n")
    monkeypatch.setenv("SOPSLAB_FILE", str(tmp_path / "other.yaml"))
    assert (local_settings().learner.id, local_settings().lab) == ("learner", "other")


def test_a_root_that_cannot_be_looked_into_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may enter every folder. This name is too long for any, which fails in the same way.
    monkeypatch.setenv("SOPSLAB_ROOT", f"{tmp_path}/{'x' * 300}")
    for settings in (local_settings, meant_lab):
        with pytest.raises(InputError, match="choose another with SOPSLAB_ROOT"):
            settings()
    # A file that is named says the root itself.
    (tmp_path / "lab.yaml").write_text(f"root: {tmp_path}/root\n")
    monkeypatch.setenv("SOPSLAB_FILE", str(tmp_path / "lab.yaml"))
    assert local_settings().root == f"{tmp_path}/root"


def test_a_room_is_told_to_pyinfra_as_to_the_verbs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "class.yaml").write_text("- {id: zoe, name: Zoë, host: seat-1, port: 2222}\n")
    monkeypatch.setenv("SOPSLAB_ROSTER", str(tmp_path / "class.yaml"))
    (settings,) = seat_settings({}).values()
    assert settings == load_settings(seen_by_pyinfra(SEATS))
    assert (settings.learner.name, settings.machine) == (
        "Zoë", SeatMachine(host="seat-1", port=2222)
    )  # fmt: skip
    monkeypatch.setenv("SOPSLAB_ROSTER", "")
    with pytest.raises(InputError, match="ada, zoe, lei: no machine is known"):
        seat_settings({})
