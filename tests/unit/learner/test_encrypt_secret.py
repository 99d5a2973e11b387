"""scripts/sops-encrypt-secret.sh, run with the real sops."""

import base64
import os
import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.lab.tools.waiting import wait_until
from tests.conftest import find_tool
from tests.marks import mostly_soak, soak
from tests.texts import replaced, write_program

from .conftest import ENCRYPT, Repository
from .terminal import CTRL_BACKSLASH, CTRL_C, CTRL_Z, Terminal, interruptible

pytestmark = pytest.mark.shells

SECRET = "correct-horse-battery-staple"
TARGET = "flux/secrets/develop/backend-secrets.yaml"
CREATE = (ENCRYPT, "develop", "backend-secrets")
ENCRYPTED = re.compile(r"ENC\[AES256_GCM,data:[^,]+,iv:[^,]+,tag:[^,]+,type:str\]")


def create(repository: Repository, **values: str) -> None:
    arguments = [part for key, value in values.items() for part in literal(key, value)]
    result = repository.run(*CREATE, *arguments)
    assert result.returncode == 0, result.stderr


def literal(key: str, value: str) -> tuple[str, str]:
    return "--from-literal", f"{key}={value}"


def editor(repository: Repository, text: str) -> str:
    """Return the command of an editor that is a shell script; $1 is the file."""
    path = write_program(repository.root.parent / "editor", f"#!/bin/sh\n{text}\n")
    return f"'{path}'"


def traces(repository: Repository, *texts: str) -> list[Path]:
    """Return the files in the test's folder and in shared memory that hold one of the texts."""
    needles = [text.encode() for text in texts]
    needles += [base64.b64encode(text.encode()).rstrip(b"=")[:-1] for text in texts]
    roots = [repository.root.parent, repository.memory]
    return [
        path
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


# --- the result --------------------------------------------------------------------------------


@pytest.mark.shells(usual=True)
def test_makes_a_secret_in_which_only_the_values_are_encrypted(repository: Repository) -> None:
    result = repository.run(*CREATE, stdin=f"password={SECRET}\nuser=lea\n")

    assert result.returncode == 0, result.stderr
    document = yaml.safe_load((repository.root / TARGET).read_text())
    metadata = document.pop("sops")
    assert document.pop("data").keys() == {"password", "user"}
    assert document == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "backend-secrets", "namespace": "develop"},
        "type": "Opaque",
    }
    assert metadata["encrypted_regex"] == "^(data|stringData)$"
    assert [entry["recipient"] for entry in metadata["age"]] == [
        repository.learner.public,
        repository.instructor.public,
    ]
    assert repository.value("backend-secrets", "password") == SECRET.encode()


def test_every_value_is_encrypted(repository: Repository) -> None:
    create(repository, one="1", two="true", three=SECRET)

    values = yaml.safe_load((repository.root / TARGET).read_text())["data"].values()
    assert len(values) == 3 and all(ENCRYPTED.fullmatch(value) for value in values)


@pytest.mark.parametrize("key", ["instructor", "learner"])
def test_each_recipient_can_open_it(repository: Repository, key: str) -> None:
    create(repository, password=SECRET)
    repository.environment["SOPS_AGE_KEY_FILE"] = str(getattr(repository, key).path)

    assert repository.value("backend-secrets", "password") == SECRET.encode()


# Indents that other people's linters ask for, and sops' own default of four.
INDENTS = (1, 2, 3, 4, 8)


def indented(repository: Repository, blanks: int) -> None:
    with (repository.root / ".sops.yaml").open("a") as config:
        config.write(f"stores:\n  yaml:\n    indent: {blanks}\n")


@pytest.mark.parametrize("blanks", mostly_soak(INDENTS, 2, 8))
def test_sops_may_be_told_how_far_to_indent(repository: Repository, blanks: int) -> None:
    indented(repository, blanks)
    create(repository, first="one", second="two")
    repository.environment["SOPS_AGE_KEY_FILE"] = str(repository.learner.path)

    rotated = repository.run(*CREATE, "--rotate-value", "second", stdin="three")

    assert rotated.returncode == 0, rotated.stderr
    assert repository.value("backend-secrets", "first") == b"one"
    assert repository.value("backend-secrets", "second") == b"three"


def test_a_file_made_before_the_indent_was_set_can_be_worked_on(repository: Repository) -> None:
    create(repository, first="one")
    indented(repository, 2)
    repository.environment["SOPS_AGE_KEY_FILE"] = str(repository.learner.path)

    rotated = repository.run(*CREATE, "--rotate-value", "first", stdin="two")

    assert rotated.returncode == 0, rotated.stderr
    assert repository.value("backend-secrets", "first") == b"two"


@pytest.mark.parametrize("blanks", INDENTS)
def test_what_is_left_plain_is_found_however_far_it_is_indented(
    repository: Repository, blanks: int
) -> None:
    indented(repository, blanks)
    config = repository.root / ".sops.yaml"
    config.write_text(replaced(config.read_text(), "^(data|stringData)$", "^(stringData)$"))

    result = repository.run(*CREATE, *literal("key", SECRET))

    assert result.returncode == 1
    assert "a value under data is not encrypted" in result.stderr
    assert SECRET not in result.stderr
    assert not (repository.root / TARGET).exists()


@pytest.mark.parametrize("setting", ["true", "input", "false"])
def test_a_clone_runs_whatever_git_does_to_the_ends_of_lines(
    repository: Repository, tmp_path: Path, setting: str
) -> None:
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "Begin"),
        ("-c", f"core.autocrlf={setting}", "-c", "core.eol=crlf", "clone", "--quiet", ".", "clone"),
    ):
        repository.tool("git", *command)
    clone = repository.root / "clone"

    assert [
        str(path)
        for path in clone.rglob("*")
        if path.is_file() and ".git" not in path.parts and b"\r" in path.read_bytes()
    ] == []
    assert os.access(clone / ENCRYPT, os.X_OK)
    done = subprocess.run(
        [clone / ENCRYPT, *CREATE[1:], *literal("k", SECRET)],
        capture_output=True,
        env=repository.environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"\r" not in (clone / TARGET).read_bytes()


def test_a_list_with_the_ends_of_lines_of_windows_is_understood(repository: Repository) -> None:
    wiring = repository.secrets / "kustomization.yaml"
    text = replaced(wiring.read_text(), "  # - backend-secrets.yaml", "  - backend-secrets.yaml")
    wiring.write_bytes(text.replace("\n", "\r\n").encode())

    result = repository.run(*CREATE, *literal("key", "value"))

    assert result.returncode == 0, result.stderr
    assert "kustomization.yaml" not in result.stdout


def test_says_what_to_do_next_and_no_value(repository: Repository) -> None:
    result = repository.run(*CREATE, *literal("password", SECRET))

    assert "uncomment: - backend-secrets.yaml" in result.stdout
    assert f"git add {TARGET} flux/secrets/develop/kustomization.yaml" in result.stdout
    assert "git push" in result.stdout
    assert SECRET not in result.stdout + result.stderr


def test_says_nothing_about_wiring_that_is_done(repository: Repository) -> None:
    wiring = repository.secrets / "kustomization.yaml"
    wiring.write_text(replaced(wiring.read_text(), "# - backend", "- backend"))

    result = repository.run(*CREATE, *literal("password", SECRET))

    assert "uncomment" not in result.stdout
    assert f"git add {TARGET}\n" in result.stdout


@pytest.mark.parametrize("place", ["flux/secrets", "scripts", ".git"])
def test_runs_from_any_directory(repository: Repository, place: str) -> None:
    result = repository.run(*CREATE, *literal("k", SECRET), cwd=repository.root / place)

    assert result.returncode == 0, result.stderr
    assert (repository.root / TARGET).is_file()


@pytest.mark.parametrize(("umask", "mode"), [(0o000, 0o644), (0o022, 0o644), (0o077, 0o600)])
def test_is_never_writable_by_others(repository: Repository, umask: int, mode: int) -> None:
    repository.run(*CREATE, *literal("k", SECRET), umask=umask)

    assert (repository.root / TARGET).stat().st_mode & 0o777 == mode


def test_works_without_a_private_key(repository: Repository) -> None:
    result = repository.run(*CREATE, *literal("k", SECRET), SOPS_AGE_KEY_FILE="")

    assert result.returncode == 0, result.stderr
    assert repository.value("backend-secrets", "k") == SECRET.encode()

    again = repository.run(*CREATE, "--force", *literal("k", "another"), SOPS_AGE_KEY_FILE="")
    assert again.returncode == 0, again.stderr
    assert "all but --force need your key" in repository.run(ENCRYPT, "--help").stdout


def test_the_key_file_may_be_named_relative_to_where_one_is(repository: Repository) -> None:
    relative = f"keys/{repository.learner.path.name}"

    result = repository.run(
        *CREATE, *literal("k", SECRET), cwd=repository.root.parent, SOPS_AGE_KEY_FILE=relative
    )

    assert result.returncode == 0, result.stderr


def test_ignores_the_sops_variables_of_the_user(repository: Repository) -> None:
    hostile: dict[str, Any] = {
        "SOPS_CONFIG": "/nonexistent/.sops.yaml",
        "SOPS_AGE_RECIPIENTS": "age1nobody",
        "SOPS_AGE_KEY": "not a key",
        "SOPS_AGE_KEY_CMD": "touch run-by-sops",
        "SOPS_AGE_SSH_PRIVATE_KEY_FILE": "/nonexistent/id_ed25519",
    }
    ssh = Path(repository.environment["HOME"], ".ssh")
    ssh.mkdir()
    (ssh / "id_ed25519").write_text("not a key")

    result = repository.run(*CREATE, *literal("k", SECRET), **hostile)

    assert result.returncode == 0, result.stderr
    assert not (repository.root / "run-by-sops").exists()
    assert repository.value("backend-secrets", "k") == SECRET.encode()


# --- where values come from --------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        soak("plain"),
        soak("1234"),
        soak("true"),
        "null",
        "two\nlines\n",
        soak("  spaces  "),
        soak("trailing newlines\n\n\n"),
        "'single' \"double\" `back` \\ $(touch pwned) ${HOME}",
        soak("a: b # c - {d} [e] & *f !g | > % @"),
        "Zoë 李雷 🔑",
        "\ttab\r\nreturn",
        soak("=equals="),
        "-leading-dash",
        "ENC[AES256_GCM,data:x]",
    ],
)
def test_text_survives_unchanged(repository: Repository, value: str) -> None:
    create(repository, key=value)

    assert repository.value("backend-secrets", "key") == value.encode()


@pytest.mark.shells(usual=True)
def test_files_survive_byte_for_byte(repository: Repository) -> None:
    content = bytes(range(256)) * 40 + b"\x00"
    path = repository.root.parent / "blob.bin"
    path.write_bytes(content)

    result = repository.run(*CREATE, "--from-file", str(path), "--from-file", f"other={path}")

    assert result.returncode == 0, result.stderr
    assert repository.value("backend-secrets", "blob.bin") == content
    assert repository.value("backend-secrets", "other") == content


def test_standard_input_can_be_one_value(repository: Repository) -> None:
    content = b"\x00\xff raw \n"

    result = repository.run(*CREATE, "--from-stdin", "raw", stdin=content)

    assert result.returncode == 0, result.stderr
    assert repository.value("backend-secrets", "raw") == content


@pytest.mark.shells(usual=True)
def test_lines_of_an_env_file_are_taken_as_they_stand(repository: Repository) -> None:
    path = repository.root.parent / "values"
    path.write_bytes(b'\xef\xbb\xbf# comment\n\nA=1=2\r\n  B= two \nexport C="q"\nD=last')

    result = repository.run(*CREATE, "--from-env-file", str(path))

    assert result.returncode == 0, result.stderr
    assert "quotes around the value of 'C'" in result.stderr
    expected = {"A": b"1=2", "B": b" two ", "C": b'"q"', "D": b"last"}
    assert {k: repository.value("backend-secrets", k) for k in expected} == expected


# How many bytes of lines are read.
LINES_LIMIT = 4 * 1024 * 1024


def lines_of(size: int, *more: str) -> str:
    """Return lines of this many bytes, of which the first has a value, and `more` after them."""
    first = "FIRST=1\n#"
    return "".join([first, "x" * (size - len(first) - 1), "\n", *more])


@pytest.mark.shells(usual=True)
@pytest.mark.parametrize(
    ("size", "last"),
    [(LINES_LIMIT - 10, f"LAST={SECRET}\n"), (LINES_LIMIT + 1, "LAST=2\n")],
    ids=["within the last value", "before the last line"],
)
def test_an_env_file_is_refused_rather_than_cut(
    repository: Repository, size: int, last: str
) -> None:
    path = repository.root.parent / "values"
    path.write_text(lines_of(size, last))

    result = repository.run(*CREATE, "--from-env-file", str(path))

    assert result.returncode == 2
    assert "is larger than 4 MiB" in result.stderr
    assert not (repository.root / TARGET).exists()


@pytest.mark.shells(usual=True)
def test_the_largest_env_file_is_read_in_time(repository: Repository) -> None:
    path = repository.root.parent / "values"
    path.write_text(lines_of(LINES_LIMIT))

    result = repository.run(*CREATE, "--from-env-file", str(path))

    assert result.returncode == 0, result.stderr
    assert repository.value("backend-secrets", "FIRST") == b"1"


def test_sources_can_be_combined(repository: Repository) -> None:
    result = repository.run(*CREATE, *literal("a", "1"), "--from-stdin", "b", stdin="2")

    assert result.returncode == 0, result.stderr
    assert repository.value("backend-secrets", "a") == b"1"
    assert repository.value("backend-secrets", "b") == b"2"


@pytest.mark.shells(usual=True)
def test_asks_for_values_without_showing_them(repository: Repository) -> None:
    terminal = Terminal(repository, *CREATE)
    terminal.answer("Key (empty to finish): ", "not a key")
    terminal.expect("cannot be a key")
    terminal.answer("Key (empty to finish): ", "password")
    terminal.answer("Value of password (not shown): ", SECRET)
    terminal.answer("Key (empty to finish): ", "")
    terminal.expect("git push")

    assert terminal.process.wait(10) == 0
    assert SECRET.encode() not in terminal.output
    assert terminal.echoes()
    assert repository.value("backend-secrets", "password") == SECRET.encode()


@pytest.mark.shells(usual=True)
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (f"-----BEGIN-----\n{SECRET}\n{SECRET}\n\n", "it has more than one line"),
        ("x" * 5000, "a terminal cuts a line as long as that"),
        ("", "nothing was entered"),
    ],
    ids=["lines", "long", "empty"],
)
def test_what_the_prompt_would_take_in_part_is_refused(
    repository: Repository, typed: str, said: str
) -> None:
    before = repository.snapshot()
    terminal = Terminal(repository, *CREATE)
    terminal.answer("Key (empty to finish): ", "tls.key")
    terminal.answer("Value of tls.key (not shown): ", typed)
    terminal.expect(said)
    terminal.answer("Key (empty to finish): ", "")

    assert terminal.process.wait(10) == 2
    assert SECRET.encode() not in terminal.output
    assert repository.snapshot() == before


@pytest.mark.shells(usual=True)
def test_a_value_is_not_shown_after_ctrl_z(repository: Repository) -> None:
    """A shell with job control, as a learner has, is needed for Ctrl-Z to stop anything."""
    shell = (find_tool("bash"), "-m", "-c", '"$@"; exit', "bash")
    terminal = Terminal(repository, *CREATE, through=shell)
    terminal.answer("Key (empty to finish): ", "password")
    terminal.expect("Value of password (not shown): ")
    terminal.press(CTRL_Z)
    terminal.press(SECRET.encode() + b"\n")
    terminal.answer("Key (empty to finish): ", "")
    terminal.expect("git push")

    assert terminal.process.wait(10) == 0
    assert SECRET.encode() not in terminal.output
    assert repository.value("backend-secrets", "password") == SECRET.encode()


@pytest.mark.shells(usual=True)
@pytest.mark.parametrize(
    ("keys", "code"), [(CTRL_C, 130), (CTRL_BACKSLASH, 131)], ids=["Ctrl-C", "Ctrl-backslash"]
)
def test_an_interrupted_prompt_restores_the_terminal_and_writes_no_core_file(
    repository: Repository, keys: bytes, code: int
) -> None:
    before = repository.snapshot()
    terminal = Terminal(repository, *CREATE)
    terminal.answer("Key (empty to finish): ", "password")
    terminal.answer("Value of password (not shown): ", SECRET)
    terminal.answer("Key (empty to finish): ", "second")
    terminal.expect("Value of second (not shown): ")
    assert not terminal.echoes()
    terminal.press(keys)

    assert terminal.process.wait(10) == code
    assert terminal.echoes()
    assert repository.snapshot() == before
    assert traces(repository, SECRET) == []


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give an environment and a name"),
        (("develop",), "give an environment and a name"),
        (("prod", "a", "--from-literal", "k=v"), "Environments here: develop"),
        (("..", "a", "--from-literal", "k=v"), "there is no environment"),
        (("develop", "A_b", "--from-literal", "k=v"), "cannot name a Secret"),
        (("develop", "../a", "--from-literal", "k=v"), "cannot name a Secret"),
        (("develop", "a" * 251, "--from-literal", "k=v"), "cannot name a Secret"),
        (("develop", "a.yaml", "--from-literal", "k=v"), "without its ending: a"),
        (("develop", "kustomization", "--from-literal", "k=v"), "choose another name"),
        (("develop", "a"), "no values were given"),
        (("develop", "a", "--from-literal", "k="), "the value of 'k' is empty"),
        (("develop", "a", "--from-literal", "k"), "needs KEY=VALUE"),
        (("develop", "a", "--from-literal", "a b=v"), "cannot be a key"),
        (("develop", "a", "--from-literal", "..=v"), "cannot be a key"),
        (("develop", "a", "--from-literal", "k" * 254 + "=v"), "cannot be a key"),
        (("develop", "a", "--from-literal", "k=v", "--from-literal", "k=w"), "given twice"),
        (("develop", "a", "--from-file", "/nonexistent"), "cannot read the file"),
        (("develop", "a", "--from-file", "big=/dev/zero"), "larger than 1 MiB"),
        (("develop", "a", "--from-stdin"), "needs an argument"),
        (("develop", "a", "--from-stdin=k"), "as two words"),
        (("develop", "a", "--unknown"), "unknown option"),
        (("develop", "a", "--edit", "--rotate-value", "k"), "only once"),
        (("develop", "a", "--edit", "--from-literal", "k=v"), "--edit takes no values"),
    ],
)
def test_wrong_usage_is_explained(
    repository: Repository, arguments: tuple[str, ...], said: str
) -> None:
    before = repository.snapshot()

    result = repository.run(ENCRYPT, *arguments)

    assert result.returncode == 2, result.stderr
    assert said in result.stderr
    assert repository.snapshot() == before


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (f"just {SECRET}\n", "line 1 of standard input has no '='"),
        (f"a=b\n{SECRET}+/A=\n", "line 2 of standard input does not begin with a key"),
        (f"{SECRET}=\n", "line 1 of standard input has no value"),
        (f"{SECRET}==\n", "line 1 of standard input has no value"),
        (f"a={SECRET}\0b=c", "is not text"),
        ("# nothing\n", "no values were given"),
    ],
)
def test_bad_lines_are_named_but_not_shown(repository: Repository, stdin: str, said: str) -> None:
    result = repository.run(*CREATE, stdin=stdin)

    assert result.returncode == 2
    assert said in result.stderr
    assert SECRET not in result.stderr
    assert not (repository.root / TARGET).exists()


def test_one_mebibyte_is_the_limit(repository: Repository) -> None:
    path = repository.root.parent / "large"
    path.write_bytes(b"x" * (1024 * 1024))

    assert repository.run(*CREATE, "--from-file", str(path)).returncode == 0
    assert (
        repository.run(*CREATE, "--force", "--from-file", str(path), *literal("a", "b")).returncode
        == 2
    )


def test_an_existing_file_is_kept_unless_forced(repository: Repository) -> None:
    create(repository, k="old")
    before = repository.snapshot()

    refused = repository.run(*CREATE, *literal("k", SECRET))
    assert refused.returncode == 1
    assert "exists and was kept" in refused.stderr
    assert repository.snapshot() == before

    assert repository.run(*CREATE, "--force", *literal("k", SECRET)).returncode == 0
    assert repository.value("backend-secrets", "k") == SECRET.encode()


def test_a_link_in_the_target_s_place_is_refused(repository: Repository) -> None:
    elsewhere = repository.root.parent / "elsewhere"
    elsewhere.write_text("untouched")
    (repository.root / TARGET).symlink_to(elsewhere)

    result = repository.run(*CREATE, "--force", *literal("k", SECRET))

    assert result.returncode == 1
    assert elsewhere.read_text() == "untouched"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("^flux/secrets/develop", "^flux/secrets/production", "no creation rule in .sops.yaml"),
        ("(data|stringData)", "(dta)", "is not encrypted; look at encrypted_regex"),
        ("encrypted_regex", "# encrypted_regex", "is not a Secret of apiVersion v1"),
        ("- age1", "- age1broken", "sops cannot encrypt with this .sops.yaml"),
        ("creation_rules:", "creation_rules: [", "sops cannot encrypt with this .sops.yaml"),
    ],
)
def test_a_wrong_sops_yaml_leaves_nothing_behind(
    repository: Repository, old: str, new: str, said: str
) -> None:
    config = repository.root / ".sops.yaml"
    config.write_text(replaced(config.read_text(), old, new))
    before = repository.snapshot()

    result = repository.run(*CREATE, *literal("k", SECRET))

    assert result.returncode == 1
    assert said in result.stderr
    assert SECRET not in result.stderr
    assert repository.snapshot() == before


def test_a_missing_sops_yaml_is_explained(repository: Repository) -> None:
    (repository.root / ".sops.yaml").unlink()

    result = repository.run(*CREATE, *literal("k", SECRET))

    assert result.returncode == 1
    assert ".sops.yaml is missing" in result.stderr


def test_kustomization_yaml_is_never_encrypted(repository: Repository) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        repository.tool("sops", "encrypt", "flux/secrets/develop/kustomization.yaml")
    assert b"no matching creation rules found" in refused.value.stderr


def test_a_result_that_one_s_own_key_cannot_open_is_refused(repository: Repository) -> None:
    config = repository.root / ".sops.yaml"
    config.write_text(
        replaced(config.read_text(), repository.learner.public, repository.instructor.public)
    )
    before = repository.snapshot()

    result = repository.run(*CREATE, *literal("k", SECRET))

    assert result.returncode == 1
    assert "your key could not open the result" in result.stderr
    assert repository.snapshot() == before


@pytest.mark.shells(usual=True)
def test_a_missing_sops_is_said_plainly(repository: Repository) -> None:
    for name in ("awk", "basename", "dirname"):
        (repository.stand_ins / name).symlink_to(find_tool(name))

    result = repository.run(*CREATE, *literal("k", SECRET), PATH=str(repository.stand_ins))

    assert result.returncode == 3
    assert "sops is not on your PATH" in result.stderr


def test_a_shell_that_would_show_values_as_arguments_is_refused(repository: Repository) -> None:
    """In mksh, printf is a program."""
    repository.shell = replace(repository.shell, words=(find_tool("mksh"),))

    result = repository.run(*CREATE, stdin=f"k={SECRET}\n")

    assert result.returncode == 3
    assert "printf is a program here" in result.stderr


# --- interruptions and full disks --------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGQUIT, 131), (signal.SIGTERM, 143)]
)
@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_interrupted_leaves_the_tree_as_it_was(
    repository: Repository, sent: signal.Signals, code: int, verb: str
) -> None:
    create(repository, k="old")
    before = repository.snapshot()
    marker = repository.root.parent / "sops-runs"
    naptime = 30 if verb == "encrypt" else 1  # decrypting is not waited for in the background
    repository.stand_in(
        "sops",
        f"#!/bin/sh\n[ $1 = {verb} ] || exec '{find_tool('sops')}' \"$@\"\n"
        f"touch '{marker}'; exec sleep {naptime}\n",
    )
    process = subprocess.Popen(
        interruptible(repository, *CREATE, "--force", *literal("k", SECRET)),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=repository.environment,
    )
    assert wait_until(marker.exists, 10, 0.01)
    process.send_signal(sent)

    assert process.wait(5) == code
    assert repository.snapshot() == before


@pytest.mark.parametrize("arguments", [("--force",), ("--rotate-value", "k")])
def test_a_full_disk_leaves_the_tree_as_it_was(
    repository: Repository, arguments: tuple[str, ...]
) -> None:
    create(repository, k="old")
    before = repository.snapshot()
    path = repository.root.parent / "large"
    path.write_bytes(b"x" * 8192)

    result = subprocess.run(
        ["sh", "-c", 'ulimit -f 4; exec "$@"', "limit",
         *repository.command(*CREATE, *arguments, "--from-file", f"k={path}")],
        capture_output=True,
        text=True,
        env=repository.environment,
        check=False,
    )  # fmt: skip

    assert result.returncode == 1
    assert "Is the disk full?" in result.stderr
    assert repository.snapshot() == before


# --- no plaintext anywhere ---------------------------------------------------------------------


def record_every_command(repository: Repository) -> Path:
    """Put a recorder before every tool that the scripts use; return the record."""
    record = repository.root.parent / "record"
    tools = "awk base64 basename cat chmod cp cut dd df dirname env find grep head ls mktemp mv"
    for name in f"{tools} paste rm sed sh sops stty sync tr wc".split():
        repository.stand_in(
            name,
            f"#!/bin/bash\n{{ printf '%s\\n' {name} \"$@\"; declare -x; }} >>'{record}'\n"
            f"exec '{find_tool(name)}' \"$@\"\n",
        )
    return record


def test_no_value_in_arguments_environment_or_files(repository: Repository) -> None:
    record = record_every_command(repository)
    names = ("value", "text", "encoded", "line", "shown", "before")
    exported: dict[str, Any] = dict.fromkeys(names, "exported")

    made = repository.run(*CREATE, stdin=f"k={SECRET}\n", **exported)
    renewed = repository.run(*CREATE, "--rotate-value", "k", stdin=f"{SECRET}-2", **exported)
    change = editor(repository, 'sed -i \'s/"correct-/"more-correct-/\' "$1"')
    edited = repository.run(*CREATE, "--edit", EDITOR=change, **exported)

    for result in (made, renewed, edited):
        assert result.returncode == 0, result.stderr
        assert SECRET not in result.stdout + result.stderr
    assert repository.value("backend-secrets", "k") == f"more-{SECRET}-2".encode()
    assert "sops\nencrypt\n" in record.read_text(errors="replace")
    assert traces(repository, SECRET) == []


@pytest.mark.shells(usual=True)
def test_values_are_taken_without_writing_any_file(repository: Repository) -> None:
    """Some shells keep a here-document in a file if it is larger than a pipe holds."""
    config = repository.root / ".sops.yaml"
    config.write_text(replaced(config.read_text(), "^flux/secrets/develop", "^elsewhere"))
    lines = "".join(f"k{number}={'v' * 20_000}\n" for number in range(10))

    result = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "limit", *repository.command(*CREATE)],
        input=lines,
        capture_output=True,
        text=True,
        env=repository.environment,
        check=False,
    )

    assert result.returncode == 1, result.stderr
    assert "no creation rule in .sops.yaml covers" in result.stderr


def test_tracing_does_not_show_values(repository: Repository) -> None:
    result = subprocess.run(
        [*(repository.shell.words or ["sh"]), "-x", repository.root / ENCRYPT, *CREATE[1:]],
        input=f"k={SECRET}\n",
        capture_output=True,
        text=True,
        env=repository.environment,
        check=True,
    )

    assert SECRET not in result.stderr


# --- --rotate-value ----------------------------------------------------------------------------


def data_keys(repository: Repository) -> list[str]:
    document = yaml.safe_load((repository.root / TARGET).read_text())
    return [entry["enc"] for entry in document["sops"]["age"]]


@pytest.mark.shells(usual=True)
def test_rotating_replaces_one_value_and_the_data_key(repository: Repository) -> None:
    create(repository, old="1", other="2")
    before = data_keys(repository)

    result = repository.run(*CREATE, "--rotate-value", "old", stdin=SECRET)

    assert result.returncode == 0, result.stderr
    assert "readable in the history" in result.stdout
    assert repository.value("backend-secrets", "old") == SECRET.encode()
    assert repository.value("backend-secrets", "other") == b"2"
    assert not set(before) & set(data_keys(repository))


def test_the_old_data_key_does_not_open_a_rotated_file(repository: Repository) -> None:
    create(repository, k="1")
    path = repository.root / TARGET
    old = path.read_text()
    repository.run(*CREATE, "--rotate-value", "k", stdin=SECRET)
    new = path.read_text()
    wrapped = re.compile(r"        - enc: \|.*?(?=    encrypted_regex)", re.DOTALL)
    old_block = wrapped.search(old)
    assert old_block

    path.write_text(wrapped.sub(lambda _: old_block[0], new))

    with pytest.raises(subprocess.CalledProcessError) as refused:
        repository.value("backend-secrets", "k")
    # The key opens the file, but not its values.
    assert refused.value.returncode == 25


def test_rotating_follows_the_recipients_of_sops_yaml(repository: Repository) -> None:
    create(repository, k="1")
    assert repository.instructor.public in (repository.root / TARGET).read_text()
    config = repository.root / ".sops.yaml"
    config.write_text(
        "".join(
            line
            for line in config.read_text().splitlines(keepends=True)
            if repository.instructor.public not in line
        )
    )

    repository.run(*CREATE, "--rotate-value", "k", stdin=SECRET)

    assert repository.instructor.public not in (repository.root / TARGET).read_text()


@pytest.mark.parametrize(
    "arguments", [("--from-file", "PATH"), ("--from-file", "k=PATH"), ("--from-stdin", "k")]
)
def test_the_new_value_can_come_from_a_file_or_standard_input(
    repository: Repository, arguments: tuple[str, str]
) -> None:
    create(repository, k="1")
    path = repository.root.parent / "new"
    path.write_bytes(b"\x00new\n")
    source = arguments[1].replace("PATH", str(path))

    result = repository.run(
        *CREATE, "--rotate-value", "k", arguments[0], source, stdin=b"\x00new\n"
    )

    assert result.returncode == 0, result.stderr
    assert repository.value("backend-secrets", "k") == b"\x00new\n"


def test_rotating_asks_once_on_a_terminal(repository: Repository) -> None:
    create(repository, k="1")
    terminal = Terminal(repository, *CREATE, "--rotate-value", "k")
    terminal.answer("Value of k (not shown): ", SECRET)
    terminal.expect("git push")

    assert terminal.process.wait(10) == 0
    assert repository.value("backend-secrets", "k") == SECRET.encode()


def test_rotating_keeps_labels_and_moves_string_data_to_data(repository: Repository) -> None:
    plain = (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: backend-secrets\n  namespace: develop\n"
        "  labels: {team: backend}\ntype: Opaque\nstringData:\n  k: one\n"
    )
    (repository.root / TARGET).write_text(plain)
    repository.tool("sops", "encrypt", "--in-place", TARGET)

    result = repository.run(*CREATE, "--rotate-value", "k", stdin=SECRET)

    assert result.returncode == 0, result.stderr
    document = yaml.safe_load((repository.root / TARGET).read_text())
    assert document["metadata"]["labels"] == {"team": "backend"}
    assert "stringData" not in document
    assert repository.value("backend-secrets", "k") == SECRET.encode()


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (("--rotate-value", "other"), SECRET, 2, "Its keys: k"),
        (("--rotate-value", "k"), "1", 2, "the value it has already"),
        (("--rotate-value", "k"), "", 2, "is empty"),
        (("--rotate-value", "k", "--from-literal", "x=y"), "", 2, "takes one new value"),
        (("--rotate-value", "k", "--force"), SECRET, 2, "--force goes with neither"),
    ],
)
def test_a_rotation_that_is_none_is_refused(
    repository: Repository, arguments: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    create(repository, k="1")
    before = repository.snapshot()

    result = repository.run(*CREATE, *arguments, stdin=stdin)

    assert result.returncode == code
    assert said in result.stderr
    assert repository.snapshot() == before


@pytest.mark.parametrize("option", [("--edit",), ("--rotate-value", "k")])
def test_working_on_a_secret_needs_file_key_and_integrity(
    repository: Repository, option: tuple[str, ...]
) -> None:
    missing = repository.run(*CREATE, *option, stdin=SECRET)
    assert missing.returncode == 1
    assert "Make it first" in missing.stderr

    create(repository, k="1")
    keyless = repository.run(*CREATE, *option, stdin=SECRET, SOPS_AGE_KEY_FILE="")
    assert keyless.returncode == 3
    assert "needs your key" in keyless.stderr

    path = repository.root / TARGET
    path.write_text(replaced(path.read_text(), "namespace: develop", "namespace: other"))
    edited = repository.run(*CREATE, *option, stdin=SECRET)
    assert edited.returncode == 1
    assert "changed by hand" in edited.stderr


# --- --edit ------------------------------------------------------------------------------------


@pytest.mark.shells(usual=True)
def test_editing_shows_text_and_keeps_every_byte(repository: Repository) -> None:
    values = {
        "word": "one",
        "lines": "a\n  b\n\nc\n",
        "open": "a\nb",
        "blank": "\n\n",
        "ending": "x\n\n",
        "quotes": "\"\\\t'",
        "unicode": "Zoë 李雷",
        "return": "a\r\nb",
        "number": "42",
    }
    create(repository, **values)
    seen = repository.root.parent / "seen"
    change = editor(repository, f'cp "$1" \'{seen}\'; sed -i \'s/"one"/"two"/\' "$1"')

    result = repository.run(*CREATE, "--edit", EDITOR=change)

    assert result.returncode == 0, result.stderr
    shown = yaml.safe_load(seen.read_text())["stringData"]
    assert shown == {k: v for k, v in values.items() if k != "return"}
    after = {key: repository.value("backend-secrets", key).decode() for key in values}
    assert after == values | {"word": "two"}


def test_editing_can_add_and_remove_keys(repository: Repository) -> None:
    create(repository, a="1", b="2")
    change = editor(repository, 'sed -i \'/"a"/d\' "$1"; echo \'    c: three\' >>"$1"')

    result = repository.run(*CREATE, "--edit", EDITOR=change)

    assert result.returncode == 0, result.stderr
    assert yaml.safe_load((repository.root / TARGET).read_text())["data"].keys() == {"b", "c"}
    assert repository.value("backend-secrets", "c") == b"three"


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("true", 0, "was not changed"),
        ("sed -i 's/one/two/' \"$1\"; exit 1", 1, "the editor failed"),
        (': >"$1"', 1, "the editor left nothing"),
        ('sed -i \'s/"one"/[[/\' "$1"', 1, "see line"),
        ('sed -i \'s/"one"/5/\' "$1"', 1, "put the value of k in quotes"),
        soak('sed -i \'s/"one"/""/\' "$1"', 1, "the value of k is empty"),
        ('sed -i \'s/"one"/{a: b}/\' "$1"', 1, "under stringData there are only keys"),
        soak('sed -i \'s/"k"/"k k"/\' "$1"', 1, "under stringData there are only keys"),
        ("sed -i 's/: develop/: other/' \"$1\"", 1, "metadata.namespace should be develop"),
        soak("sed -i 's/kind: Secret/kind: ConfigMap/' \"$1\"", 1, "not a Secret"),
        ("sed -i 's/stringData/data/; s/one/@@/' \"$1\"", 1, "is not base64"),
        soak("sed -i 's/stringData/data/; s/one/abc/' \"$1\"", 1, "is not base64"),
        soak("sed -i 's/stringData/spec/' \"$1\"", 1, "it holds no value"),
    ],
)
def test_an_edit_that_is_none_or_bad_changes_nothing(
    repository: Repository, script: str, code: int, said: str
) -> None:
    create(repository, k="one")
    before = repository.snapshot()

    result = repository.run(*CREATE, "--edit", EDITOR=editor(repository, script))

    assert result.returncode == code, result.stderr
    assert said in result.stdout + result.stderr
    assert repository.snapshot() == before
    assert not list(repository.memory.iterdir())


@pytest.mark.parametrize(("sent", "code"), [("TERM", 143), ("HUP", 129), ("INT", 0), ("QUIT", 0)])
def test_signals_while_editing(repository: Repository, sent: str, code: int) -> None:
    create(repository, k="one")
    change = editor(
        repository, f'sed -i \'s/"one"/"{SECRET}"/\' "$1"; kill -{sent} $PPID; sleep 0.2'
    )

    result = repository.run(*CREATE, "--edit", EDITOR=change)

    assert result.returncode == code, result.stderr
    expected = b"one" if code else SECRET.encode()  # Ctrl-C and Ctrl-\ are for the editor
    assert repository.value("backend-secrets", "k") == expected
    assert not list(repository.memory.iterdir())


@pytest.mark.shells(usual=True)
def test_the_keys_of_an_interruption_belong_to_the_editor(repository: Repository) -> None:
    create(repository, k="one")
    repository.environment["EDITOR"] = editor(
        repository,
        "trap 'echo heard C >/dev/tty' INT; trap 'echo heard backslash >/dev/tty' QUIT\n"
        "echo ready >/dev/tty\n"
        'until read -r word </dev/tty && [ "$word" = go ]; do :; done\n'
        'sed -i \'s/"one"/"two"/\' "$1"',
    )
    terminal = Terminal(repository, *CREATE, "--edit")
    terminal.expect("ready")
    # A signal that comes just before `read` is heard after the line that `read` waits for.
    terminal.press(CTRL_C + b"\n")
    terminal.expect("heard C")
    terminal.press(CTRL_BACKSLASH + b"\n")
    terminal.expect("heard backslash")
    terminal.press(b"go\n")
    terminal.expect("git push")

    assert terminal.process.wait(10) == 0
    assert repository.value("backend-secrets", "k") == b"two"


@pytest.mark.parametrize(("sent", "code"), [("INT", 130), ("QUIT", 131)])
def test_after_the_editor_signals_end_the_script_again(
    repository: Repository, sent: str, code: int
) -> None:
    create(repository, k="one")
    before = repository.snapshot()
    change = editor(repository, f'sed -i \'s/"one"/"{SECRET}"/\' "$1"')
    repository.stand_in(
        "sops",
        f"#!/bin/sh\n[ $1 = encrypt ] || exec '{find_tool('sops')}' \"$@\"\n"
        f"kill -{sent} $PPID; exec sleep 30\n",
    )

    result = subprocess.run(
        interruptible(repository, *CREATE, "--edit"),
        env=repository.environment | {"EDITOR": change},
        check=False,
        timeout=20,
    )

    assert result.returncode == code
    assert repository.snapshot() == before
    assert not list(repository.memory.iterdir())


@pytest.mark.parametrize("sent", ["HUP", "INT", "QUIT", "TERM"])
def test_a_second_signal_does_not_end_the_cleaning_up(repository: Repository, sent: str) -> None:
    create(repository, k=SECRET)
    repository.stand_in("rm", f"#!/bin/sh\nkill -{sent} $$\nexec '{find_tool('rm')}' \"$@\"\n")

    result = repository.run(*CREATE, "--edit", EDITOR=editor(repository, "kill -TERM $PPID"))

    assert result.returncode == 143, result.stderr
    assert not list(repository.memory.iterdir())


def test_plaintext_being_edited_is_private_and_in_memory(repository: Repository) -> None:
    create(repository, k="one")
    seen = repository.root.parent / "seen"
    change = editor(
        repository,
        f"stat -c %a \"${{1%/*}}\" >'{seen}'; stat -f -c %T \"$1\" >>'{seen}'; exit 1",
    )

    repository.run(*CREATE, "--edit", EDITOR=change, umask=0)

    assert seen.read_text().split() == ["700", "tmpfs"]


@pytest.mark.shells(usual=True)
def test_what_an_editor_keeps_is_wiped(repository: Repository) -> None:
    """Histories are in the home, of some kinds deep in it; copies in the folder for temporary
    files; joe's, when it is killed, where it was started; and nvi's where .nexrc says."""
    create(repository, k=SECRET)
    disk, overwritten = (repository.root.parent / name for name in ("disk", "overwritten"))
    disk.mkdir()
    change = editor(
        repository,
        f"recdir='{disk}'\n"
        '[ ! -e "$HOME/.nexrc" ] || recdir=$(sed -n "s/^set recdir=//p" "$HOME/.nexrc")\n'
        'state="${XDG_STATE_HOME:-$HOME/.local/state}/an editor"\n'
        'mkdir -p "$state"\n'
        f'for folder in "$HOME" "$state" "${{TMPDIR:-{disk}}}" . "$recdir"; do\n'
        '  cp "$1" "$folder/.$$.history" && chmod 400 "$folder/.$$.history"\n'
        "done\n"
        'chmod 500 "$state"\n',
    )
    repository.stand_in(
        "rm",
        "#!/bin/sh\nfor last; do :; done\n"
        f'[ ! -d "$last" ] || cp -R "$last" \'{overwritten}\'\n'
        f"exec '{find_tool('rm')}' \"$@\"\n",
    )

    result = repository.run(*CREATE, "--edit", EDITOR=change)

    assert result.returncode == 0, result.stderr
    assert len(list(overwritten.rglob("*.history"))) == 2
    assert traces(repository, SECRET) == []
    assert not list(repository.memory.iterdir())


def test_wiping_leaves_alone_what_a_link_points_to(repository: Repository) -> None:
    create(repository, k="one")
    elsewhere = repository.root.parent / "elsewhere"
    elsewhere.write_text("untouched")

    repository.run(
        *CREATE, "--edit", EDITOR=editor(repository, f"ln -s '{elsewhere}' \"$HOME/link\"")
    )

    assert elsewhere.read_text() == "untouched"
    assert not list(repository.memory.iterdir())


def test_the_editor_may_be_in_the_learner_s_home(repository: Repository) -> None:
    create(repository, k="one")
    home = Path(repository.environment["HOME"])
    write_program(home / "bin" / "an editor", '#!/bin/sh\nsed -i "s/\\"one\\"/\\"$1\\"/" "$2"\n')

    result = repository.run(*CREATE, "--edit", EDITOR="~/bin/an\\ editor 'two words'")

    assert result.returncode == 0, result.stderr
    assert repository.value("backend-secrets", "k") == b"two words"


def test_an_editor_finds_the_screen_but_no_editor_that_runs_already(
    repository: Repository,
) -> None:
    create(repository, k="one")
    found = repository.root.parent / "found"
    shown = 'printf "%s\\n" "$WAYLAND_DISPLAY" "$XAUTHORITY" "$XDG_RUNTIME_DIR" "${1%/*}"'

    repository.run(
        *CREATE,
        "--edit",
        EDITOR=editor(repository, f"{shown} >'{found}'"),
        WAYLAND_DISPLAY="wayland-0",
    )

    display, authority, runtime, folder = found.read_text().splitlines()
    assert display == str(repository.memory / "wayland-0")
    assert authority == repository.environment["HOME"] + "/.Xauthority"
    assert runtime == folder


def test_without_memory_for_plaintext_editing_is_refused(repository: Repository) -> None:
    create(repository, k="one")
    repository.stand_in("df", "#!/bin/sh\necho /\n")

    result = repository.run(*CREATE, "--edit", EDITOR="true")

    assert result.returncode == 3
    assert "plaintext must not go to a disk" in result.stderr


def test_help_documents_the_exit_codes(repository: Repository) -> None:
    result = repository.run(ENCRYPT, "--help")

    assert result.returncode == 0
    assert "Exit codes: 0 done; 1 refused" in result.stdout
