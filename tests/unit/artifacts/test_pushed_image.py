"""The Git server's image for a registry: its content, and how the lab recognises it."""

from __future__ import annotations

import functools
import http.server
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.registry import push
from sopslab.lab.observe.registry import pushed_image, recorded_image
from sopslab.lab.tools import files
from sopslab.layout import git_pod_sources
from sopslab.model.images import PushedImage
from sopslab.model.wire import encode
from tests.unit.artifacts.conftest import StandIn

DIGEST = f"sha256:{'0' * 64}"
IMAGE, MADE_OF = "sops-lab/git:1", "1-abc"
# Knows the digests in $GIVEN/digests, and an image with the label in $GIVEN/made-of.
DOCKER = """
case "$*" in
"create "*) echo c0ffee ;;
"cp - c0ffee:/") cat >"$GIVEN/programs.tar" ;;
"push "*) [ ! -e "$GIVEN/refusing" ] ;;
*" {{json .RepoDigests}} "*) cat "$GIVEN/digests" ;;
"image inspect sops-lab/git-server:pushed")
    printf '[{"Config": {"Labels": {"sops-lab.made-of": "%s"}}}]' "$(cat "$GIVEN/made-of")" ;;
esac
"""


@pytest.fixture
def given(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the stand-in for docker keeps its input, and finds its answers."""
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "made-of").write_text("")
    monkeypatch.setenv("GIVEN", str(folder))
    stand_in("docker", DOCKER)
    return folder


def test_what_is_pushed_has_the_programs_of_the_server_in_it(
    place: Lab, given: Path, calls: Callable[[], list[str]]
) -> None:
    registry = "registry.example:5000/class"
    reference = f"{registry}/sops-lab-git@{DIGEST}"
    (given / "digests").write_text(json.dumps(["elsewhere/sops-lab-git@sha256:1", reference]))
    push(place, IMAGE, registry, MADE_OF)
    with tarfile.open(given / "programs.tar") as packed:
        names = {member.name for member in packed.getmembers() if member.isfile()}
        receive = packed.extractfile("srv/git/policy/sopslab/gitserver/receive.py")
        assert receive is not None
        assert receive.read() == git_pod_sources()["sopslab/gitserver/receive.py"].read_bytes()
    assert names == {f"srv/git/policy/{path}" for path in git_pod_sources()}
    target = f"{registry}/sops-lab-git:{MADE_OF}"
    told = calls()
    assert f"docker push --quiet {target}" in told
    # The name in the registry does not stay in the user's Docker.
    assert told.index(f"docker rmi {target}") > told.index(f"docker push --quiet {target}")
    (committed,) = [call for call in told if call.startswith("docker commit ")]
    assert IMAGE in next(call for call in told if call.startswith("docker create "))
    assert f'LABEL sops-lab.made-of="{MADE_OF}"' in committed
    assert recorded_image(place, registry, MADE_OF) == reference


def test_the_image_that_was_made_before_is_pushed_as_it_is(
    place: Lab, given: Path, calls: Callable[[], list[str]]
) -> None:
    (given / "made-of").write_text(MADE_OF)
    (given / "digests").write_text(json.dumps([f"ada/sops-lab-git@{DIGEST}"]))
    # Docker leaves out the name of its own registry.
    push(place, IMAGE, "docker.io/ada", MADE_OF)
    assert not [call for call in calls() if call.startswith(("docker create", "docker commit"))]
    reference = f"docker.io/ada/sops-lab-git@{DIGEST}"
    assert recorded_image(place, "docker.io/ada", MADE_OF) == reference


def test_what_was_pushed_to_another_registry_stays_on_record(place: Lab, given: Path) -> None:
    where = ("registry.example", "registry.example/class")
    made = {one: f"{one}/sops-lab-git@{DIGEST}" for one in where}
    (given / "digests").write_text(json.dumps(list(made.values())))
    for one in where:
        push(place, IMAGE, one, MADE_OF)
    assert {one: recorded_image(place, one, MADE_OF) for one in where} == made


def test_a_registry_that_takes_nothing_is_named_and_nothing_is_recorded(
    place: Lab, given: Path, calls: Callable[[], list[str]]
) -> None:
    (given / "refusing").touch()
    with pytest.raises(LabError, match=r"docker login registry\.example:5000"):
        push(place, IMAGE, "registry.example:5000/class", MADE_OF)
    assert f"docker rmi registry.example:5000/class/sops-lab-git:{MADE_OF}" in calls()
    assert not Path(place.pushed_images).exists()


def test_a_digest_that_docker_does_not_tell_is_not_made_up(place: Lab, given: Path) -> None:
    (given / "digests").write_text(json.dumps([f"registry.example/other@{DIGEST}"]))
    with pytest.raises(LabError, match="does not tell the digest"):
        push(place, IMAGE, "registry.example/class", MADE_OF)
    assert not Path(place.pushed_images).exists()


class _Registry(http.server.BaseHTTPRequestHandler):
    """A registry that always gives the same answer, and records the requests."""

    def __init__(self, code: int, asked: list[str], *given: Any) -> None:
        self._code, self._asked = code, asked
        super().__init__(*given)

    def do_HEAD(self) -> None:
        self._asked.append(self.path)
        self.send_response(self._code)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


class Answering:
    """A registry on loopback."""

    def __init__(self, code: int) -> None:
        self.asked: list[str] = []
        handler = functools.partial(_Registry, code, self.asked)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def end(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def registry() -> Iterator[Callable[[int], Answering]]:
    begun: list[Answering] = []

    def begin(code: int) -> Answering:
        begun.append(Answering(code))
        return begun[-1]

    yield begin
    for one in begun:
        one.end()


def record(place: Lab, registry: str, made_of: str = MADE_OF) -> str:
    reference = f"{registry}/sops-lab-git@{DIGEST}"
    pushed = {registry: PushedImage(made_of, reference)}
    files.write(place.pushed_images, json.dumps(encode(pushed)))
    return reference


@pytest.mark.parametrize(("code", "believed"), [(200, True), (401, True), (404, False)])
def test_the_registry_is_asked_whether_it_still_has_the_image(
    code: int, believed: bool, place: Lab, registry: Callable[[int], Answering]
) -> None:
    asked = registry(code)
    where = f"{asked.address}/class"
    reference = record(place, where)
    assert pushed_image(place, where, MADE_OF) == (reference if believed else None)
    assert asked.asked == [f"/v2/class/sops-lab-git/manifests/{DIGEST}"]


def test_another_registry_and_another_server_are_not_asked_for_what_was_not_pushed(
    place: Lab, registry: Callable[[int], Answering]
) -> None:
    assert pushed_image(place, "registry.example", MADE_OF) is None
    asked = registry(200)
    record(place, asked.address, "1-older")
    assert pushed_image(place, asked.address, MADE_OF) is None
    record(place, asked.address)
    assert pushed_image(place, f"{asked.address}/class", MADE_OF) is None
    assert asked.asked == []


def test_a_registry_that_is_silent_has_nothing(
    place: Lab, registry: Callable[[int], Answering]
) -> None:
    gone = registry(200)
    record(place, gone.address)
    gone.end()
    assert pushed_image(place, gone.address, MADE_OF) is None
