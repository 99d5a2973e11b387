"""The first program on a machine that has nothing: its file alone, run by Python alone."""

from __future__ import annotations

import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sopslab.config.places import Lab
from sopslab.lab import beginning
from sopslab.lab.beginning import Refused, install
from sopslab.lab.bundles.product import pack_product, product_for
from sopslab.lab.observe.store import this_arch
from sopslab.lab.store.members import packed
from sopslab.model.members import Member
from tests.interrupted import killed_in_child
from tests.texts import write_program
from tests.unit.bundles.conftest import Create, signers

PROGRAM = Path(beginning.__file__)
ARCH = this_arch()
PYTHONS = (f"{sys.version_info.major}.{sys.version_info.minor}",)


def run(*arguments: object, stdin: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program as on a machine without a lab, with a package index that does not answer."""
    environment = {
        **more,
        "PATH": os.environ["PATH"],
        "PIP_INDEX_URL": "http://127.0.0.1:9",
        "PIP_DRY_RUN": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-I", str(PROGRAM), *map(str, arguments)],
        input=stdin, env=environment, capture_output=True, check=False, cwd="/",
    )  # fmt: skip


def says(root: Path) -> str:
    return subprocess.run(
        [root / "bin" / "sopslab"], capture_output=True, text=True, check=True, env={}
    ).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "a root"


def test_it_needs_nothing_but_python_3_11() -> None:
    text = PROGRAM.read_text()
    compile(text, "beginning", "exec", dont_inherit=True)
    imports = {line.split()[1].split(".")[0] for line in text.splitlines()
               if line.startswith(("import ", "from "))}  # fmt: skip
    assert imports <= set(sys.stdlib_module_names)


def test_the_product_is_installed_from_a_stream_without_a_network(full: Lab, root: Path) -> None:
    member = pack_product(full, product_for(ARCH, PYTHONS))
    data = packed(full, member).read_bytes()
    told = ("product", root, member.sha256, member.size)
    done = run(*told, stdin=data)
    assert done.returncode == 0, done.stderr
    assert says(root) == "hello"
    assert json.loads(run("state", root, "").stdout)["product"] == member.sha256[:20]
    # If the product is there already, nothing is read.
    again = run(*told)
    assert again.returncode == 0, again.stderr


def test_the_file_itself_may_come_on_the_same_stream(full: Lab, root: Path) -> None:
    member = pack_product(full, product_for(ARCH, PYTHONS))
    text = PROGRAM.read_bytes()
    begin = "import sys; exec(sys.stdin.buffer.read(int(sys.argv.pop(1))))"
    told = ["product", str(root), member.sha256, str(member.size)]
    done = subprocess.run(
        [sys.executable, "-c", begin, str(len(text)), *told],
        input=text + packed(full, member).read_bytes(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert says(root) == "hello"


def test_a_machine_that_has_nothing_says_so(root: Path) -> None:
    found = json.loads(run("state", root, "").stdout)
    assert found["product"] == ""
    assert found["python"] == list(sys.version_info[:3])
    assert found["space"] > 0
    assert (found["root"], found["store"]) == (str(root), None)
    assert not root.exists()


def test_a_folder_of_the_user_s_is_named_without_a_shell(root: Path) -> None:
    found = json.loads(run("state", "~/a root", "", HOME=str(root)).stdout)
    assert found["root"] == str(root / "a root")


@pytest.mark.parametrize(
    ("user", "sudo", "said"),
    [
        (0, None, "ok"),
        (1000, "exit 0", "ok"),
        (1000, "exit 1", "password"),
        (1000, None, "missing"),
    ],
)
def test_whether_root_s_rights_can_be_had(
    user: int, sudo: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("PATH", str(tmp_path))
    if sudo is not None:
        # sudo must not ask for a password.
        write_program(tmp_path / "sudo", f'#!/bin/sh\n[ "$1" = -n ] || exit 9\n{sudo}\n')
    assert beginning.state(tmp_path, "")["sudo"] == said


def test_a_sudo_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(_process: object) -> None:
        raise PermissionError

    # As of a process that is root's.
    monkeypatch.setattr(subprocess.Popen, "kill", kill)
    assert beginning._ask(["sleep", "2"], b"", 0.1) is None


def test_the_product_of_a_bundle_is_installed_once_it_is_trusted(
    made: Create, key: Path, root: Path
) -> None:
    (file,) = made(key=key).paths
    alone = run("bundle", root, file, "--unsigned")
    assert (alone.returncode, b"it is signed: name a file" in alone.stderr) == (1, True)
    assert not (root / "bin").exists()
    done = run("bundle", root, file, "--signers", signers(key))
    assert done.returncode == 0, done.stderr
    assert says(root) == "hello"


@pytest.mark.parametrize("how", ["cut off", "altered", "another sum"])
def test_what_is_not_the_product_leaves_nothing(how: str, full: Lab, root: Path) -> None:
    member = pack_product(full, product_for(ARCH, PYTHONS))
    data = bytearray(packed(full, member).read_bytes())
    sum_of = member.sha256
    match how:
        case "cut off":
            del data[-9:]
        case "altered":
            data[len(data) // 2] ^= 1
        case _:
            sum_of = "0" * 64
    done = run("product", root, sum_of, member.size, stdin=bytes(data))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith(
        b"sops-lab: the product is"
    )
    assert [path.name for path in (root / "product").iterdir()] == ["lock"]


def test_a_product_for_other_machines_is_refused(full: Lab, root: Path) -> None:
    for arch, pythons, said in (
        ("arm64", PYTHONS, "the product is for arm64, and this machine is amd64"),
        ("amd64", ("3.10",), "and the product is for 3.10"),
    ):
        member = pack_product(full, product_for(arch, pythons))  # type: ignore[arg-type]
        with packed(full, member).open("rb") as stream, pytest.raises(Refused, match=said):
            install(root, member.sha256, member.size, stream)
    assert [path.name for path in (root / "product").iterdir()] == ["lock"]


def versions(full: Lab, say: Callable[[str], None], *texts: str) -> list[tuple[Member, bytes]]:
    found = []
    for text in texts:
        say(text)
        member = pack_product(full, product_for(ARCH, PYTHONS))
        found.append((member, packed(full, member).read_bytes()))
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace environments by ones that hold a single command, which are made at once."""

    def make(target: Path) -> None:
        write_program(target / "environment" / "bin" / "sopslab", "#!/bin/sh\necho made\n")

    monkeypatch.setattr(beginning, "_make_environment", make)


@pytest.mark.usefixtures("quick")
def test_of_older_ones_only_the_last_stays(
    full: Lab, root: Path, small_product: Callable[[str], None]
) -> None:
    products = versions(full, small_product, "one", "two", "three")
    for member, data in products:
        install(root, member.sha256, member.size, io.BytesIO(data))
    names = {member.sha256[:20] for member, _ in products[1:]}
    assert {path.name for path in (root / "product").iterdir()} == {*names, "lock"}
    assert (root / "bin" / "sopslab").resolve().parents[2].name == products[2][0].sha256[:20]


@pytest.mark.usefixtures("quick")
def test_one_for_another_python_is_made_anew(full: Lab, root: Path) -> None:
    member = pack_product(full, product_for(ARCH, PYTHONS))
    data = packed(full, member).read_bytes()
    install(root, member.sha256, member.size, io.BytesIO(data))
    (root / "product" / member.sha256[:20] / "complete").write_text("3.10")
    assert beginning.state(root, "")["product"] == ""
    install(root, member.sha256, member.size, io.BytesIO(data))
    assert beginning.state(root, "")["product"] == member.sha256[:20]


@pytest.mark.usefixtures("quick")
def test_whenever_it_is_killed_the_command_works_or_is_not_there(
    full: Lab, root: Path, small_product: Callable[[str], None]
) -> None:
    products = versions(full, small_product, "one", "two")
    (first, old), (member, data) = products
    for number in itertools.count(1):
        subprocess.run(["rm", "-rf", root], check=True)
        install(root, first.sha256, first.size, io.BytesIO(old))
        root.joinpath("product", "0" * 20).mkdir()
        killed = killed_in_child(
            number, root, lambda: install(root, member.sha256, member.size, io.BytesIO(data))
        )
        assert says(root) == "made"
        assert beginning.state(root, "")["product"] in {each.sha256[:20] for each, _ in products}
        if not killed:
            break
        install(root, member.sha256, member.size, io.BytesIO(data))
        assert beginning.state(root, "")["product"] == member.sha256[:20]
    assert number > 5


def test_packing_it_again_is_the_same_bytes(full: Lab) -> None:
    member = pack_product(full, product_for(ARCH, PYTHONS))
    data = packed(full, member).read_bytes()
    packed(full, member).unlink()
    assert pack_product(full, product_for(ARCH, PYTHONS)) == member
    assert packed(full, member).read_bytes() == data
    assert replace(member, content="") != member
