"""Settings: every rule has a file that breaks it, and its message names value, place and fix."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.labfile import read_lab_file
from sopslab.config.naming import bridge_name, check_label
from sopslab.config.settings import Settings, load_settings
from sopslab.errors import Exit, InputError

DATA = Path(__file__).parents[1] / "data" / "settings"
INVALID = sorted((DATA / "invalid").glob("*.yaml"))
VALID = sorted((DATA / "valid").glob("*.yaml"))
# No message may show a password, whether it is valid or not.
PASSWORD = "pw-hidden"

Data = Callable[..., dict[str, Any]]


def problems_of(data: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        load_settings(data)
    assert caught.value.code is Exit.INPUT
    return caught.value.problems


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_broken_rule_is_refused_in_one_sentence(path: Path, lab_data: Data) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# ")
    (problem,) = problems_of(lab_data(**read_lab_file(str(path))))
    assert expected in problem
    assert "\n" not in problem
    assert PASSWORD not in problem
    assert "pydantic" not in problem


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_what_is_allowed_is_kept_literally(path: Path, lab_data: Data) -> None:
    given = read_lab_file(str(path))
    settings = load_settings(lab_data(**given))
    kept = settings.model_dump()
    for key, value in given.items():
        if key == "mirrors":
            value = {name: url.rstrip("/") for name, url in value.items()}
        if isinstance(value, list):
            value = tuple(value)
        assert kept[key] == value


def test_all_problems_are_told_at_once(lab_data: Data) -> None:
    problems = problems_of(
        lab_data(
            lab="Demo",
            root="here",
            git_port="8418",
            git_pasword=PASSWORD,
            learner={"id": False, "name": "\n", "email": "?"},
        )
    )
    places = [problem.split(":")[0] for problem in problems]
    assert sorted(places) == sorted(
        ["lab", "root", "git_port", "git_pasword", "learner.id", "learner.name", "learner.email"]
    )
    assert PASSWORD not in "".join(problems)


def test_rules_about_two_settings_are_told_together(lab_data: Data) -> None:
    problems = problems_of(lab_data(cluster_provider="existing", git_url="https://git.example"))
    assert "needs kubeconfig and context" in "".join(problems)
    assert "git_url needs git_username and git_password" in "".join(problems)


def test_every_setting_is_needed(lab_data: Data) -> None:
    assert set(problems_of({})) == {f"{name}: is missing" for name in Settings.model_fields}


def test_a_value_that_is_long_is_not_repeated_at_length(lab_data: Data) -> None:
    (problem,) = problems_of(lab_data(lab="x" * 1_000_000))
    assert len(problem) < 500


def test_the_password_is_in_no_representation_of_the_settings(lab_data: Data) -> None:
    settings = load_settings(
        lab_data(git_url="https://git.example", git_username="u", git_password=PASSWORD)
    )
    assert PASSWORD not in repr(settings)
    assert PASSWORD not in str(settings)


@pytest.mark.parametrize("place", ["instructor_recipient", "context", "lab"])
@pytest.mark.parametrize("written", [str.upper, str.lower])
def test_an_identity_in_place_of_something_else_is_in_no_message(
    written: Callable[[str], str], place: str, lab_data: Data
) -> None:
    identity = written("# created: today\n" + "age-secret-" + "key-1" + "qpzry9x8" * 7 + "qq")
    (problem,) = problems_of(lab_data(**{place: identity}))
    assert problem.startswith(f"{place}: is refused: ")
    assert "QPZRY" not in problem.upper()


def test_a_value_that_looks_like_code_stays_text_in_a_shell(lab_data: Data, tmp_path: Path) -> None:
    name = f"$(touch {tmp_path}/gone); `touch {tmp_path}/gone` {{{{ 7 * 7 }}}}"
    learner = {"id": "ada", "name": name, "email": "ada@example.org"}
    settings = load_settings(lab_data(learner=learner))
    shown = subprocess.run(
        ["sh", "-c", f"printf %s {shlex.quote(settings.learner.name)}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == name
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("value", ["a", "0", "a" * 63, "a-b", "a--b", "lab2", "kub", "flux"])
def test_a_label_of_kubernetes_is_accepted(value: str) -> None:
    assert check_label(value) == value


@pytest.mark.parametrize(
    "value",
    ["", "-a", "a-", "a" * 64, "A", "a.b", "..", "a/b", "a b", "a\n", "ä", "a_b", "\u0661"],
)
def test_what_is_no_label_of_kubernetes_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="at most 63"):
        check_label(value)


def test_two_labs_share_nothing_but_the_store(lab_data: Data) -> None:
    one, two = load_settings(lab_data(lab="one")), load_settings(lab_data(lab="two"))
    own = ("lab_dir", "lab_kubeconfig", "lab_context", "keys_dir", "git_dir", "work_dir")
    assert not {getattr(one, name) for name in own} & {getattr(two, name) for name in own}
    assert bridge_name("one") != bridge_name("two")
    assert one.store == two.store


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10"])
def test_loopback_is_plain_http(address: str, lab_data: Data) -> None:
    settings = load_settings(lab_data(git_bind=address))
    assert (settings.networked, settings.git_ca) == (False, None)
    assert settings.git_base_url == f"http://{address}:8418"
    assert settings.git_base_cluster_url == "http://lab-git:8080"
    assert settings.api_address == "127.0.0.1"


def test_any_other_address_is_tls(lab_data: Data) -> None:
    settings = load_settings(lab_data(git_bind="192.0.2.10"))
    assert settings.git_base_url == "https://192.0.2.10:8418"
    assert settings.git_base_cluster_url == "https://lab-git:8080"
    assert settings.git_ca == f"{settings.lab_dir}/tls/ca.crt"
    assert settings.api_address == "192.0.2.10"


def test_a_cluster_that_is_elsewhere_comes_to_the_address_that_learners_use(lab_data: Data) -> None:
    elsewhere = {"cluster_provider": "existing", "kubeconfig": "/k", "context": "prod"}
    networked = load_settings(lab_data(git_bind="192.0.2.10", **elsewhere))
    assert networked.git_base_cluster_url == networked.git_base_url == "https://192.0.2.10:8418"
    assert load_settings(lab_data(**elsewhere)).git_base_cluster_url == "http://lab-git:8080"


def test_what_the_certificate_is_for_the_cluster_may_use(lab_data: Data) -> None:
    url = "https://192.0.2.10:8418"
    settings = load_settings(lab_data(git_bind="192.0.2.10", git_cluster_url=url))
    assert settings.git_base_cluster_url == url


def test_another_git_server_has_a_certificate_of_its_own(lab_data: Data) -> None:
    given = {"git_url": "https://git.example", "git_username": "u", "git_password": PASSWORD}
    settings = load_settings(lab_data(git_bind="192.0.2.10", **given))
    assert (settings.networked, settings.git_ca) == (False, None)


def test_the_name_of_a_bridge_fits_the_kernel() -> None:
    assert len(bridge_name("a" * 30)) <= 15
