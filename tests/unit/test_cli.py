"""The command `sopslab`: its helps, the shapes of its output, its exit codes, and what it does not
touch."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from pkgutil import iter_modules
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner, Result

from sopslab import __version__
from sopslab.cli import verbs
from sopslab.cli.main import main
from sopslab.cli.verbs import drill, up
from sopslab.config.settings import Settings
from sopslab.errors import MEANINGS, Exit
from sopslab.incidents.leak import leak_dir
from sopslab.run import runner
from tests.texts import write_program

VERBS = sorted(
    name.removesuffix("_")
    for _, name, _ in iter_modules(verbs.__path__)
    if not name.startswith("_")
)

Sopslab = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def sopslab(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Sopslab:
    """Return a function that runs the command with this test's root, and without Docker."""
    docker = write_program(tmp_path / "stand-ins" / "docker", "#!/bin/sh\nexit 1\n")
    for name in os.environ:
        if name.startswith("SOPSLAB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    monkeypatch.setenv("SOPSLAB_ROOT", str(root))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str = "", **environment: str) -> Result:
        return CliRunner().invoke(main, arguments, input=stdin, env=environment)

    return run


@pytest.mark.parametrize("verb", ["up", "policy"])
def test_windows_itself_is_refused_with_where_to_go(
    sopslab: Sopslab, root: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Windows")
    done = sopslab(verb)
    assert done.exit_code == Exit.HOST
    assert "make it in WSL2" in done.output
    assert not root.exists()


def test_the_installed_command_runs() -> None:
    command = Path(sys.executable).parent / "sopslab"
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"sopslab, version {__version__}\n"


def test_the_help_names_every_verb_and_exit_code(sopslab: Sopslab) -> None:
    done = sopslab("--help")
    assert done.exit_code == 0
    assert sorted(re.findall(r"^  ([a-z]+)  +[a-z]", done.stdout, re.M)) == VERBS
    for title in ("Make:", "Learn:", "Class:", "Leak:", "Help:"):
        assert f"\n{title}\n  " in done.stdout
    codes = dict(re.findall(r"^  ([0-9]+) +(.+)$", done.stdout, re.M))
    assert codes == {str(code.value): meaning for code, meaning in MEANINGS.items()}
    assert set(MEANINGS) == set(Exit)
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


@pytest.mark.parametrize(
    ("verb", "parts"),
    [
        (
            "up",
            [
                "--json",
                "--force",
                "--install-docker",
                "--key-from [store|cluster]",
                "a second run changes nothing",
            ],
        ),
        ("down", ["--purge", "--yes", "--json", "Keys, Git data and the store stay"]),
        ("env", ['eval "$(sopslab env)"', "KUBECONFIG", "SOPS_AGE_KEY_FILE"]),
        ("status", ["--json", "Exits 0"]),
    ],
)
def test_the_help_of_a_verb_says_what_it_does(
    sopslab: Sopslab, verb: str, parts: list[str]
) -> None:
    done = sopslab(verb, "-h")
    assert done.exit_code == 0
    for part in parts:
        assert part in " ".join(done.stdout.split())


def every_command(
    command: click.Command, *words: str
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield a command, and each command below it, with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from every_command(below, *words, name)


@pytest.mark.parametrize("verb", VERBS)
def test_each_help_explains_its_command_and_all_that_it_takes(sopslab: Sopslab, verb: str) -> None:
    found = main.get_command(click.Context(main), verb)
    assert found is not None
    for words, command in every_command(found, verb):
        done = sopslab(*words, "--help")
        assert done.exit_code == 0 and command.help
        assert max(len(line) for line in done.stdout.splitlines()) <= 100
        # Lines are also broken at hyphens.
        said = "".join(done.stdout.split())
        for parameter in command.params:
            explained = getattr(parameter, "help", None)
            assert explained, (words, parameter.name)
            assert "".join(explained.split()) in said
            assert isinstance(parameter, click.Argument) or max(parameter.opts, key=len) in said


@pytest.fixture
def scanner(tools: Callable[..., Path]) -> None:
    """Give the lab gitleaks. A test has to name this before `sopslab`, which removes its path."""
    tools("gitleaks")


def test_the_labs_own_tools_are_found_by_a_plain_shell(
    scanner: None, sopslab: Sopslab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    clean = tmp_path / "tree"
    clean.mkdir()
    (clean / "note.txt").write_text("nothing to hide\n")
    done = sopslab("policy", "check", str(clean))
    assert done.exit_code == 0, done.output


def test_an_unknown_verb_and_option_are_bad_input(sopslab: Sopslab) -> None:
    assert sopslab("upp").exit_code == 2
    assert sopslab("up", "--key-from", "backup").exit_code == 2


# They are about no lab.
OF_NO_LAB = {"completion", "policy", "quiz", "roster", "schema", "validate"}
# What a verb needs before it looks at its settings.
NEEDED = {
    "assign": ("spare-1", "ada", "--name", "Ada"),
    "backup": ("new.age",),
    "break": ("wrong-key",),
    "bundle": ("create", "--output", "bundle.tar"),
    "class": ("report",),
    "drill": ("leak",),
    "images": ("push",),
    "reissue": ("ada",),
    "reset": ("ada",),
    "restore": ("lab.age",),
    "rotate": ("learner-key",),
}


@pytest.mark.parametrize("verb", sorted({*VERBS} - OF_NO_LAB))
def test_bad_input_ends_with_every_problem_before_anything_is_made(
    sopslab: Sopslab, root: Path, verb: str
) -> None:
    Path("lab.age").write_text("a backup\n")
    words = (verb, *NEEDED.get(verb, ()))
    done = sopslab(*words, SOPSLAB_LAB="Demo Lab", SOPSLAB_GIT_PASSWORD="\n")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["lab", "git_password"]
    assert not root.exists()


@pytest.mark.parametrize("verb", ["up", "status", "verify", "doctor"])
def test_bad_input_is_json_where_json_was_asked_for(
    sopslab: Sopslab, root: Path, verb: str
) -> None:
    done = sopslab(verb, "--json", SOPSLAB_LAB="Demo Lab")
    assert done.exit_code == 2
    shown = json.loads(done.stdout)
    assert (shown["ok"], shown["changed"]) == (False, 0)
    assert shown["problems"][0].startswith("lab: 'Demo Lab' is refused")
    assert not root.exists()


def test_a_run_that_cannot_begin_is_json_where_json_was_asked_for(
    sopslab: Sopslab, tmp_path: Path
) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    done = sopslab("down", "--json", SOPSLAB_ROOT=str(occupied))
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"]) == (Exit.HOST, False)
    assert [str(occupied) in problem for problem in told["problems"]] == [True]


def test_a_question_is_not_asked_on_the_output_that_has_the_json(
    sopslab: Sopslab, tmp_path: Path
) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    done = sopslab("down", "--purge", "--json", stdin="y\n", SOPSLAB_ROOT=str(occupied))
    assert json.loads(done.stdout)["ok"] is False
    assert "Go on?" in done.stderr


def test_a_folder_that_is_gone_is_refused_in_a_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        [
            "sh",
            "-c",
            'rmdir "$PWD" && "$1" status',
            "sh",
            str(Path(sys.executable).parent / "sopslab"),
        ],
        cwd=gone,
        env={**os.environ, "SOPSLAB_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (Exit.HOST, "")
    assert "`cd`" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["plain", "two words", "; & Übung (1) #*"])
def test_env_is_read_by_a_shell_as_it_was_meant(
    sopslab: Sopslab, tmp_path: Path, name: str
) -> None:
    root = tmp_path / name
    printed = sopslab("env", SOPSLAB_ROOT=str(root))
    show = 'printf "%s\\n" "$PATH" "$KUBECONFIG" "$SOPS_AGE_KEY_FILE" "$PRE_COMMIT_HOME"'
    done = subprocess.run(
        ["sh", "-euc", f'eval "$1"; {show}', "sh", printed.stdout],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    path, kubeconfig, key, home = done.stdout.splitlines()
    assert path.startswith(f"{root}/bin:")
    assert path.endswith(":/usr/bin:/bin")
    assert kubeconfig == f"{root}/labs/lab/kubeconfig"
    assert key == f"{root}/labs/lab/keys/learner.agekey"
    assert home == f"{root}/labs/lab/pre-commit"
    assert not root.exists()


def test_a_failed_up_is_one_json_object_and_its_steps_exit_code(
    sopslab: Sopslab, tmp_path: Path
) -> None:
    # The first operation refuses a port in use, before anything is changed.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "lab.yaml").write_text(f"git_port: {port}\n")
        done = sopslab("up", "--json", SOPSLAB_FILE="lab.yaml")
    assert done.exit_code == 10
    shown = json.loads(done.stdout)
    assert (shown["ok"], shown["changed"]) == (False, 0)
    assert shown["problems"] == [
        f"port {port} is taken by another program: stop it, or choose another port for the lab"
    ]
    assert shown["seconds"] > 0
    assert [step["name"] for step in shown["steps"]][:2] == ["Host", "Format"]
    assert set(shown["steps"][0]) == {"name", "seconds", "changed", "changes"}
    assert Path(shown["log"]).is_file()


def test_up_tells_its_steps_as_junit_also_where_it_fails(sopslab: Sopslab, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "lab.yaml").write_text(f"git_port: {port}\n")
        done = sopslab("up", "--junit", "up.xml", SOPSLAB_FILE="lab.yaml")
    assert done.exit_code == 10
    (suite,) = ElementTree.parse(tmp_path / "up.xml").getroot()
    counts = {name: suite.get(name) for name in ("name", "failures", "errors")}
    assert counts == {"name": "sopslab.up", "failures": "1", "errors": "0"}
    host, *others = suite.findall("testcase")
    (failure,) = host
    assert (host.get("name"), failure.tag) == ("Host", "failure")
    assert f"port {port} is taken by another program" in failure.get("message", "")
    assert [case.get("name") for case in others][:2] == ["Format", "Artifacts"]
    assert {case[0].tag for case in others} == {"skipped"}


def test_a_junit_file_that_could_not_be_written_is_refused_before_the_run(
    sopslab: Sopslab, root: Path
) -> None:
    done = sopslab("up", "--junit", "missing/up.xml")
    assert (done.exit_code, "there is no folder missing" in done.stderr) == (2, True)
    assert not root.exists()


@pytest.mark.parametrize(
    ("ended", "told"), [(Exit.OK, Exit.FAILED), (Exit.FLUX, Exit.FLUX), (Exit.HOST, Exit.HOST)]
)
def test_a_run_whose_steps_cannot_be_written_has_failed_and_keeps_its_own_code(
    sopslab: Sopslab, root: Path, monkeypatch: pytest.MonkeyPatch, ended: Exit, told: Exit
) -> None:
    own = [] if ended is Exit.OK else ["the run says why"]
    run = runner.Result(ended, 1.0, [], own, root / "log")
    monkeypatch.setattr(runner, "run", lambda *_: run)
    done = sopslab("up", "--json", "--junit", "/dev/full")
    assert done.exit_code == told
    shown = json.loads(done.stdout)
    assert shown["ok"] is False
    assert shown["problems"] == [*own, "/dev/full cannot be written: No space left on device"]


def test_what_to_type_next_is_for_a_shell_whatever_the_root_is_called(
    lab: Callable[..., Settings],
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings, program = (
        lab(root=f"{root}/a lab #2"),
        write_program(root / "Ada Lovelace" / "sopslab", '#!/bin/sh\necho "asked=$1"\n'),
    )
    monkeypatch.setattr(sys, "argv", [str(program)])
    Path(settings.work_dir).mkdir(parents=True)
    Path(settings.work_dir, "lab.md").write_text("the lab\n")
    up._say_what_is_up(settings, runner.Result(Exit.OK, 1.0, [], [], root / "log"))
    _, following = capsys.readouterr().out.split("Next:\n")
    done = subprocess.run(
        ["sh", "-euc", f"less() {{ cat \"$1\"; }}\n{following}\necho $asked"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("the lab\nenv\n", "")


def test_the_briefing_of_a_drill_is_named_for_a_shell_whatever_the_root_is_called(
    lab: Callable[..., Settings], sopslab: Sopslab, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab(root="/srv/a lab #2")
    monkeypatch.setattr(drill, "lab_or_exit", lambda *_, **__: settings)
    monkeypatch.setattr(drill, "deploy_or_exit", lambda *_, **__: None)
    said = sopslab("drill", "leak").output
    (command,) = [line for line in said.splitlines() if line.startswith("  less ")]
    assert shlex.split(command, comments=True) == [
        "less", f"{leak_dir(settings, settings.learner.id)}/README.md"
    ]  # fmt: skip


@pytest.mark.parametrize("verb", ["up", "verify", "doctor", "status"])
def test_an_answer_in_json_waits_for_no_import_of_rich(
    sopslab: Sopslab, tmp_path: Path, verb: str
) -> None:
    program = """
import sys
from sopslab.cli.main import main
try:
    main()
finally:
    print("rich" in sys.modules, file=sys.stderr)
"""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "lab.yaml").write_text(f"git_port: {taken.getsockname()[1]}\n")
        done = subprocess.run(
            [sys.executable, "-c", program, verb, "--json"],
            env={**os.environ, "SOPSLAB_FILE": "lab.yaml"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert isinstance(json.loads(done.stdout), dict)
    assert done.stderr.splitlines()[-1] == "False"


@pytest.mark.parametrize(("verb", "seldom"), [("verify", True), ("board", False)])
def test_garbage_is_looked_for_seldom_by_verbs_that_soon_end(verb: str, seldom: bool) -> None:
    program = """
import gc, sys
from sopslab.cli.main import main
usual = gc.get_threshold()
try:
    main()
finally:
    print(gc.get_threshold() > usual, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, verb, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stderr == f"{seldom}\n"


def test_status_of_nothing_says_so_and_exits_1(sopslab: Sopslab, root: Path) -> None:
    done = sopslab("status", "--json")
    assert done.exit_code == 1
    shown = json.loads(done.stdout)
    assert (shown["lab"], shown["up"]) == ("lab", False)
    assert {part["state"] for part in shown["parts"]} == {"not there"}
    assert not root.exists()


def test_a_purge_asks_and_nothing_happens_without_a_yes(sopslab: Sopslab, root: Path) -> None:
    keys = root / "labs" / "lab" / "keys"
    keys.mkdir(parents=True)
    for answer in ("\n", ""):
        done = sopslab("down", "--purge", stdin=answer)
        assert done.exit_code == 1
        assert "Without the keys, nothing" in done.stderr
        assert str(root) in done.stderr
    assert keys.is_dir()
    assert [path.name for path in (root / "labs" / "lab").iterdir()] == ["keys"]


@pytest.mark.parametrize(("options", "answer"), [(["--yes"], ""), ([], "y\n")])
def test_a_purge_that_was_confirmed_leaves_nothing(
    sopslab: Sopslab, root: Path, options: list[str], answer: str
) -> None:
    (root / "labs" / "purged" / "keys").mkdir(parents=True)
    (root / "store" / "sops-1").mkdir(parents=True)
    read_only = root / "cache" / "go-mod"
    read_only.mkdir(parents=True)
    (read_only / "file").write_text("")
    read_only.chmod(0o555)
    done = sopslab("down", "--purge", *options, stdin=answer, SOPSLAB_LAB="purged")
    assert done.exit_code == 0, done.output
    assert "The lab purged is down (1 change)" in done.stdout
    assert not root.exists()


def test_a_purge_spares_the_other_labs_of_the_root(sopslab: Sopslab, root: Path) -> None:
    (root / "labs" / "purged" / "keys").mkdir(parents=True)
    (root / "labs" / "other" / "keys").mkdir(parents=True)
    (root / "store" / "sops-1").mkdir(parents=True)
    done = sopslab("down", "--purge", "--yes", SOPSLAB_LAB="purged")
    assert done.exit_code == 0, done.output
    assert (root / "labs" / "other" / "keys").is_dir()
    assert (root / "store" / "sops-1").is_dir()
    assert not (root / "labs" / "purged").exists()


def test_down_without_purge_keeps_what_cannot_be_made_anew(sopslab: Sopslab, root: Path) -> None:
    kept = [root / "labs" / "kept" / part for part in ("keys", "git", "work")]
    for folder in (*kept, root / "store"):
        folder.mkdir(parents=True)
    done = sopslab("down", SOPSLAB_LAB="kept")
    assert done.exit_code == 0, done.output
    assert "The lab kept is down (0 changes)" in done.stdout
    assert all(folder.is_dir() for folder in (*kept, root / "store"))
