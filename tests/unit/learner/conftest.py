"""A learner's repository, rendered from the templates, and the real tools to work in it.

SOPSLAB_TOOLS names a directory with sops, age-keygen and kubectl; without it they come from PATH.
Keys are made for each run and never kept.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sopslab.checks.causes import for_shell
from sopslab.course.quiz import QUIZ_FILE, load_quiz, template_variable
from sopslab.files.render import render_tree
from tests.conftest import find_tool
from tests.marks import soak
from tests.repositories import make_identity
from tests.texts import write_program

TEMPLATES = Path(__file__).resolve().parents[3] / "templates"
TOOLS = os.environ.get("SOPSLAB_TOOLS", "")
SYSTEM_PATH = f"{TOOLS}:{os.environ['PATH']}" if TOOLS else os.environ["PATH"]
ENCRYPT = "scripts/sops-encrypt-secret.sh"
SETUP = "scripts/sops-setup.sh"


@dataclass(frozen=True)
class Shell:
    """The shell that runs the scripts on a learner's system, and its PATH."""

    words: tuple[str, ...]
    path: str


@dataclass(frozen=True)
class Key:
    """An age identity file and its public key."""

    path: Path
    public: str

    @property
    def secret(self) -> str:
        """The private key itself, to search for in places that must not hold it."""
        return self.path.read_text().split()[-1]


@dataclass
class Repository:
    """A rendered repository, and the environment in which its scripts run."""

    root: Path
    environment: dict[str, str]
    shell: Shell
    learner: Key
    instructor: Key
    stand_ins: Path = field(init=False)

    def __post_init__(self) -> None:
        self.stand_ins = self.root.parent / "stand-ins"
        self.stand_ins.mkdir()
        self.environment["PATH"] = f"{self.stand_ins}:{self.shell.path}"

    @property
    def memory(self) -> Path:
        """The directory in memory that the scripts may use."""
        return Path(self.environment["XDG_RUNTIME_DIR"])

    @property
    def secrets(self) -> Path:
        return self.root / "flux" / "secrets" / "develop"

    def command(self, script: str, *arguments: str) -> list[str]:
        """The command line that starts one of the repository's scripts from any directory."""
        return [*self.shell.words, str(self.root / script), *arguments]

    def run(
        self,
        *command: str,
        stdin: str | bytes = "",
        cwd: Path | None = None,
        umask: int = 0o022,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the repository's scripts, whether it succeeds or fails."""
        return subprocess.run(
            self.command(*command),
            input=stdin.decode("latin-1") if isinstance(stdin, bytes) else stdin,
            encoding="latin-1" if isinstance(stdin, bytes) else "utf-8",
            capture_output=True,
            cwd=cwd or self.root,
            env=self.environment | environment,
            umask=umask,
            timeout=60,
            check=False,
        )

    def tool(self, *command: str) -> bytes:
        """The output of a real tool, as bytes."""
        environment = self.environment | {"PATH": SYSTEM_PATH}
        return subprocess.run(
            command, capture_output=True, cwd=self.root, env=environment, check=True
        ).stdout

    def value(self, name: str, key: str) -> bytes:
        """The bytes that Kubernetes would hold for one key of an encrypted Secret."""
        path = f"flux/secrets/develop/{name}.yaml"
        return base64.b64decode(
            self.tool("sops", "decrypt", "--extract", f'["data"]["{key}"]', path)
        )

    def stand_in(self, name: str, text: str) -> None:
        """Put a script before the real tool of the same name."""
        write_program(self.stand_ins / name, text)

    def snapshot(self) -> dict[str, bytes]:
        """Every file of the repository with its content."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and ".git/" not in f"{path.relative_to(self.root)}"
        }


def course_variables(learner: str, instructor: str) -> Mapping[str, object]:
    """The template variables of a lab for one learner."""
    return {
        "lab": "lab",
        "learner": {"id": "learner", "name": "Lea Learner", "email": "learner@lab.invalid"},
        "classroom": False,
        "environment": "develop",
        "namespace": "develop",
        "kustomization": "secrets-develop",
        "flux_namespace": "flux-system",
        "key_secret": "sops-age",
        "key_entry": "age.agekey",
        "recipients": {"learner": learner, "instructor": instructor},
        "repository_url": "http://git.lab.invalid/learner/lab.git",
        "plan": None,
        "causes": for_shell(),
        "age_key_type": "x25519",
        "versions": dict.fromkeys(("sops", "age", "kubectl", "flux", "kubernetes"), "1.2.3"),
        "quiz": template_variable(load_quiz(QUIZ_FILE)),
    }


def seat_variables(learner: str, instructor: str) -> Mapping[str, object]:
    """The template variables of a learner in a class."""
    return {
        **course_variables(learner, instructor),
        "learner": {"id": "zoe", "name": "Zoë", "email": "zoe@lab.invalid"},
        "classroom": True,
        "namespace": "zoe-develop",
        "flux_namespace": "lab-zoe-sys",
        "repository_url": "http://git.lab.invalid/zoe/lab.git",
    }


def commands(text: str) -> list[str]:
    """The lines of all shell blocks of a document."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


def inline(text: str) -> list[str]:
    """The texts between single backticks in a document, outside of blocks."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", outside)


def write_tree(source: Path, target: Path, variables: Mapping[str, object]) -> None:
    """Render a template directory into a target directory."""
    for name, rendered in render_tree(source, variables).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rendered.content)
        path.chmod(0o755 if rendered.executable else 0o644)


# No shell is named, so the first line of a script decides; all tools of this system are there.
BY_ITSELF = Shell((), SYSTEM_PATH)


def _busybox(folder: Path) -> Shell:
    """BusyBox's sh, with BusyBox's own tools and those that the card tells the learner to
    install."""
    subprocess.run([find_tool("busybox"), "--install", "-s", str(folder)], check=True)
    for name in ("age-keygen", "git", "kubectl", "sops"):
        (folder / name).symlink_to(find_tool(name))
    return Shell((str(folder / "sh"),), str(folder))


def _bash(folder: Path) -> Shell:
    """Bash as sh, with the awk of a Mac, which is not Debian's."""
    (folder / "awk").symlink_to(find_tool("original-awk"))
    return Shell((find_tool("bash"), "--posix"), f"{folder}:{SYSTEM_PATH}")


def _zsh(_folder: Path) -> Shell:
    return Shell((find_tool("zsh"), "--emulate", "sh"), SYSTEM_PATH)


# Other systems that run the scripts: a small Linux, a Mac, and a Mac whose sh is zsh.
OTHERS = {"busybox": _busybox, "bash": _bash, "zsh": _zsh}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("shells")
    if mark is not None and "shell" in metafunc.fixturenames:
        others = OTHERS if mark.kwargs.get("usual") else map(soak, OTHERS)
        metafunc.parametrize("shell", ["itself", *others], indirect=True, scope="session")


@pytest.fixture(scope="session")
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The shell that runs the scripts; the one that they name, unless a test asks for another."""
    name = getattr(request, "param", "itself")
    return OTHERS[name](tmp_path_factory.mktemp(name)) if name in OTHERS else BY_ITSELF


# With a space, as many people have in the names of their folders.
ROOT = "work tree"
Variables = Callable[[str, str], Mapping[str, object]]


@contextmanager
def _opened(folder: Path, key: str, shell: Shell) -> Iterator[Repository]:
    """Yield a folder's content as a repository; its scripts get this key, and a directory in
    memory."""
    keys = [folder / "keys" / owner for owner in ("learner", "instructor")]
    publics = [(folder / f"{one.name}.pub").read_text() for one in keys]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        environment = {
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder),
            "XDG_RUNTIME_DIR": memory,
            "SOPS_AGE_KEY_FILE": key,
        }
        yield Repository(folder / ROOT, environment, shell, *map(Key, keys, publics))


def _make(folder: Path, variables: Variables) -> None:
    """Make a learner's repository, its keys, and an empty home."""
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    (folder / "home").mkdir()
    owners = ("learner", "instructor")
    publics = [make_identity(keys / owner) for owner in owners]
    for owner, public in zip(owners, publics, strict=True):
        (folder / f"{owner}.pub").write_text(public)
    write_tree(TEMPLATES / "learner", folder / ROOT, variables(*publics))
    subprocess.run(["git", "init", "--quiet", str(folder / ROOT)], check=True)


def _copy(source: Path, target: Path) -> None:
    for one in source.iterdir():
        if one.is_dir():
            shutil.copytree(one, target / one.name, symlinks=True)
        else:
            shutil.copy2(one, target)


@pytest.fixture(scope="session")
def a_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository and its keys, made once; each test gets a copy."""
    folder = tmp_path_factory.mktemp("repository")
    _make(folder, course_variables)
    return folder


@pytest.fixture(scope="session")
def a_seat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of a learner in a class, with the canary in it, made once."""
    folder = tmp_path_factory.mktemp("seat")
    _make(folder, seat_variables)
    with _opened(folder, "", BY_ITSELF) as made:
        done = made.run(ENCRYPT, "develop", "lab-canary", stdin="value=made-up\n")
        assert done.returncode == 0, done.stderr
        made.stand_ins.rmdir()
    return folder


@pytest.fixture
def repository(tmp_path: Path, a_repository: Path, shell: Shell) -> Iterator[Repository]:
    """A learner's Git repository, its keys, and an otherwise empty home."""
    _copy(a_repository, tmp_path)
    with _opened(tmp_path, str(tmp_path / "keys" / "learner"), shell) as made:
        yield made


@pytest.fixture
def seat(tmp_path: Path, a_seat: Path, shell: Shell) -> Iterator[Repository]:
    """The repository of a learner in a class, with the canary in it and without a private key."""
    _copy(a_seat, tmp_path)
    with _opened(tmp_path, "", shell) as made:
        yield made


@pytest.fixture
def other_key(tmp_path: Path) -> Callable[[str], Key]:
    """Return a function that makes keys unknown to the repository."""
    keys = tmp_path / "keys"
    return lambda name: Key(keys / name, make_identity(keys / name))
