"""The address of a lab's containers, which follows from DOCKER_HOST, the address of Docker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sopslab.config.engine import engine_host
from sopslab.config.settings import Settings
from sopslab.lab.tools.programs import lab_environment


@pytest.mark.parametrize(
    "here",
    [
        None,
        "",
        "unix:///var/run/docker.sock",
        "unix:///run/user/1000/docker.sock",
        "fd://",
        "tcp://127.0.0.1:2375",
        "tcp://127.1.2.3:2376",
        "tcp://localhost:2375",
        "tcp://[::1]:2375",
    ],
)
def test_a_docker_of_this_machine_is_no_other_machine(here: str | None) -> None:
    assert engine_host(here) is None


@pytest.mark.parametrize(
    ("docker_host", "host"),
    [
        ("tcp://docker:2375", "docker"),
        ("tcp://docker:2376", "docker"),
        ("tcp://docker", "docker"),
        ("tcp://ci-7.Example.org:2376", "ci-7.example.org"),
        ("tcp://192.0.2.7:2376", "192.0.2.7"),
    ],
)
def test_a_service_is_another_machine(docker_host: str, host: str) -> None:
    assert engine_host(docker_host) == host


@pytest.mark.parametrize(
    "docker_host",
    [
        "ssh://ada@example.org",
        "npipe:////./pipe/docker_engine",
        "http://docker:2375",
        "docker:2375",
        "tcp://",
        "tcp://:2375",
        "tcp://[2001:db8::7]:2376",
        "tcp://a_b:2376",
        "tcp://$(id):2375",
    ],
)
def test_a_docker_that_a_lab_has_no_folder_in_common_with_is_refused(docker_host: str) -> None:
    with pytest.raises(ValueError, match="a socket of this machine is needed"):
        engine_host(docker_host)


def test_beside_a_service_everything_is_reached_there_and_has_tls(
    lab: Callable[..., Settings],
) -> None:
    settings = lab(docker_host="tcp://docker:2376")
    assert (settings.engine_host, settings.networked) == ("docker", True)
    assert settings.git_base_url == "https://docker:8418"
    assert (settings.git_published, settings.api_address) == ("0.0.0.0", "0.0.0.0")
    assert settings.api_names == ("localhost", "127.0.0.1", "0.0.0.0", "docker")
    assert ("DNS", "docker") in settings.git_server_names
    assert ("IP", "127.0.0.1") in settings.git_server_names
    environment = lab_environment(settings.for_machine)
    assert environment["NO_PROXY"].split(",")[-1] == "docker"


def test_a_service_with_an_address_has_a_certificate_for_the_address(
    lab: Callable[..., Settings],
) -> None:
    settings = lab(docker_host="tcp://192.0.2.7:2376")
    assert ("IP", "192.0.2.7") in settings.git_server_names


def test_on_this_machine_all_is_as_it_was(lab: Callable[..., Settings]) -> None:
    settings = lab(docker_host="unix:///var/run/docker.sock")
    assert settings.git_base_url == "http://127.0.0.1:8418"
    assert (settings.git_published, settings.api_address) == ("127.0.0.1", "127.0.0.1")
    assert settings.api_names == ("localhost", "127.0.0.1")
