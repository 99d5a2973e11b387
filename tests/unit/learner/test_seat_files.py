"""Instructions for a learner of a class: they have the right, the key and the tool for each."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sopslab.layout import PROJECT
from tests.texts import replaced

from .conftest import ENCRYPT, SETUP, Key, Repository, commands, inline

NAMESPACE, SYSTEM = "zoe-develop", "lab-zoe-sys"
COURSE = ["README.md", "lab.md", "rotation-plan.md", "flux/secrets/README.md"]
ROLES = PROJECT / "flux" / "clusters" / "lab" / "classroom" / "roles.yaml"
# What kubectl's commands ask of the API server.
VERBS = {"get": "get", "describe": "get", "delete": "delete"}
PLURALS = {"ns": "namespaces", "secret": "secrets"}
# The mentions of `sopslab`: a verb of the instructor's, and one that works on any machine.
TOLD = {"sopslab", "sopslab status", "sopslab validate"}
STAND_IN = """#!/bin/sh
printf '%s\\n' "$*" >>"{record}"
cat "{answer}" >&2
exit {code}
"""


def rights() -> set[tuple[str, str]]:
    """Return the verbs and resources of the learner's role."""
    roles = yaml.safe_load_all(ROLES.read_text())
    (role,) = (role for role in roles if role["metadata"]["name"] == "sops-lab-learner")
    return {
        (verb, resource)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
    }


def typed(seat: Repository, name: str) -> list[str]:
    """Return every command of a course file, in blocks and in sentences."""
    text = (seat.root / name).read_text()
    return [*commands(text), *inline(text)]


@pytest.mark.parametrize("name", COURSE)
def test_no_command_asks_the_cluster_for_what_is_forbidden(seat: Repository, name: str) -> None:
    allowed = rights()

    for command in typed(seat, name):
        words = command.split()
        # A command that is only named, without an object, asks for nothing.
        if words[0] != "kubectl" or len(words) < 3 or words[1:3] == ["auth", "can-i"]:
            continue
        if words[1] == "get":
            assert words == ["kubectl", "get", "ns", NAMESPACE], command
            assert ("get", "namespaces") in allowed
            continue
        assert words[1:3] == ["-n", NAMESPACE], command
        assert (VERBS[words[3]], PLURALS[words[4]]) in allowed, command


@pytest.mark.parametrize("name", COURSE)
def test_no_command_needs_the_private_key_or_the_lab_s_own_tools(
    seat: Repository, name: str
) -> None:
    for command in typed(seat, name):
        assert "SOPS_AGE_KEY_FILE" not in command
        assert not re.search(r"--(create-secret|generate|edit|rotate-value)\b", command)
        if command.startswith("sopslab"):
            assert command in TOLD
    lines = commands((seat.root / name).read_text())
    assert not any(line.startswith(("sopslab", "eval", "age", "flux")) for line in lines)


@pytest.mark.parametrize("path", [*COURSE, SETUP, ENCRYPT, ".sops.yaml"])
def test_the_names_are_the_seat_s(seat: Repository, path: str) -> None:
    text = (seat.root / path).read_text()

    assert "flux-system" not in text
    assert "-n develop" not in text


def test_the_kubeconfig_is_named_where_the_card_has_it_fetched_to(seat: Repository) -> None:
    told = [
        found
        for path in (*COURSE, SETUP)
        for found in re.findall(r"KUBECONFIG=(\S+?)[;`\s]", (seat.root / path).read_text())
    ]

    assert len(told) == 3
    assert {path.replace("\\", "") for path in told} == {'"$PWD/../kubeconfig"'}


def test_the_quiz_says_what_its_names_are_at_the_seat(seat: Repository) -> None:
    text = (seat.root / "quiz.md").read_text()

    assert f"flux-system is {SYSTEM} for you, its develop is {NAMESPACE}" in text
    assert "sopslab quiz" not in text


@pytest.mark.parametrize("name", COURSE)
def test_every_path_and_link_leads_somewhere(seat: Repository, name: str) -> None:
    text = (seat.root / name).read_text()
    words = [word for command in typed(seat, name) for word in command.split()]
    paths = {word for word in words if re.match(r"(scripts|flux)/.*\.(sh|md|yaml)$", word)}

    missing = {path for path in paths if not (seat.root / path).exists()}
    assert missing <= {"flux/secrets/develop/backend-secrets.yaml"}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert all(((seat.root / name).parent / link).exists() for link in links)


@pytest.mark.parametrize("name", COURSE)
def test_shell_blocks_can_be_parsed(seat: Repository, name: str) -> None:
    text = "\n".join(commands((seat.root / name).read_text()))

    subprocess.run(["sh", "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize("script", [SETUP, ENCRYPT])
def test_the_scripts_are_clean(seat: Repository, script: str) -> None:
    assert os.access(seat.root / script, os.X_OK)

    seat.tool("shellcheck", "--norc", "--shell=sh", script)


def test_a_learner_resets_by_a_push(seat: Repository) -> None:
    assert "git push origin HEAD:reset" in commands((seat.root / "lab.md").read_text())


def test_git_takes_every_push_of_lab_md_as_it_is_written(seat: Repository, tmp_path: Path) -> None:
    """git completes the name of a new branch only if it knows what is pushed to be a branch."""
    server = tmp_path / "server.git"
    git = ("git", "-C", str(seat.root))
    subprocess.run(["git", "init", "--quiet", "--bare", server], check=True)
    subprocess.run([*git, "remote", "add", "origin", server], check=True)
    who = ("-c", "user.name=Zoë", "-c", "user.email=zoe@lab.invalid")
    subprocess.run([*git, *who, "commit", "--quiet", "--allow-empty", "-m", "Begin"], check=True)
    subprocess.run([*git, "push", "--quiet", "origin", "HEAD:refs/heads/main"], check=True)
    subprocess.run([*git, "fetch", "--quiet"], check=True)
    pushes = {one for one in typed(seat, "lab.md") if one.startswith("git push origin ")}
    assert {push.split()[-1].partition(":")[0] for push in pushes} >= {"HEAD", "origin/main"}
    for push in pushes:
        subprocess.run([*git, *push.split()[1:], "--dry-run"], check=True)


# --- the scripts -----------------------------------------------------------------------------

Answers = Callable[[str, int], None]


@pytest.fixture
def answers(seat: Repository, tmp_path: Path) -> Answers:
    """Return a function that makes kubectl answer with a text and an exit code."""

    def answer(text: str, code: int) -> None:
        said = tmp_path / "answer"
        said.write_text(text)
        record = tmp_path / "record"
        seat.stand_in("kubectl", STAND_IN.format(record=record, answer=said, code=code))

    answer("", 0)
    return answer


@pytest.fixture
def asked(seat: Repository, answers: Answers, tmp_path: Path) -> Callable[[], str]:
    """Return a function that returns kubectl's arguments so far."""
    record = tmp_path / "record"
    return lambda: record.read_text() if record.exists() else ""


@pytest.mark.shells(usual=True)
def test_a_check_needs_no_private_key(seat: Repository, asked: Callable[[], str]) -> None:
    result = seat.run(SETUP, "--check")

    assert result.returncode == 0, result.stdout
    assert [line[0] for line in result.stdout.splitlines()] == ["✓", "✓", "✓"]
    assert seat.learner.public in result.stdout
    assert "is your instructor's business" in result.stdout
    assert SYSTEM not in asked()
    assert f"--namespace {NAMESPACE} get secret lab-canary" in asked()


def test_a_check_finds_a_stranger_in_sops_yaml(
    seat: Repository, answers: Answers, other_key: Callable[[str], Key]
) -> None:
    path = seat.root / ".sops.yaml"
    stranger = other_key("stranger")
    path.write_text(replaced(path.read_text(), seat.learner.public, stranger.public))

    result = seat.run(SETUP, "--check")

    assert result.returncode == 1
    assert "✗ .sops.yaml" in result.stdout
    assert stranger.public in result.stdout
    # Nobody is told to encrypt what is right to the stranger.
    assert "✗ files       not compared, because .sops.yaml has to be right first" in result.stdout
    assert "✓ cluster" in result.stdout


@pytest.mark.shells
def test_a_check_finds_files_that_are_not_for_the_lab_s_recipients(
    seat: Repository, answers: Answers, other_key: Callable[[str], Key]
) -> None:
    path = seat.root / ".sops.yaml"
    right = path.read_text()
    path.write_text(replaced(right, seat.learner.public, other_key("stranger").public))
    assert seat.run(ENCRYPT, "develop", "astray", stdin="key=made-up\n").returncode == 0
    path.write_text(right)
    (seat.secrets / "plain.yaml").write_text("kind: Secret\n")

    result = seat.run(SETUP, "--check")

    assert result.returncode == 1
    assert "✓ .sops.yaml" in result.stdout
    assert "astray.yaml is encrypted to other recipients" in result.stdout
    assert "plain.yaml is not encrypted" in result.stdout
    assert "lab-canary.yaml is" not in result.stdout


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('Error from server (NotFound): secrets "lab-canary" not found', 1, "not decrypted it"),
        ("Error from server (Forbidden): secrets is forbidden", 1, "does not let you look into"),
        ("Unable to connect to the server: connection refused", 3, "nothing answers at"),
    ],
)
def test_a_check_says_what_the_cluster_says(
    seat: Repository, answers: Answers, text: str, code: int, said: str
) -> None:
    answers(text, 1)

    result = seat.run(SETUP, "--check")

    assert result.returncode == code
    assert said in result.stdout
    assert "ask your instructor" in result.stdout


@pytest.mark.parametrize("option", ["--create-secret", "--generate"])
def test_keys_are_the_instructor_s(seat: Repository, asked: Callable[[], str], option: str) -> None:
    before = seat.snapshot()

    result = seat.run(SETUP, option)

    assert result.returncode == 1
    assert "the key is your instructor's" in result.stderr
    assert asked() == ""
    assert seat.snapshot() == before


def test_a_learner_encrypts_and_replaces_without_a_private_key(seat: Repository) -> None:
    first = seat.run(ENCRYPT, "develop", "backend-secrets", stdin="API_TOKEN=made-up\n")
    kept = seat.run(ENCRYPT, "develop", "backend-secrets", stdin="API_TOKEN=other\n")
    again = seat.run(ENCRYPT, "develop", "backend-secrets", "--force", stdin="API_TOKEN=other\n")

    assert (first.returncode, kept.returncode, again.returncode) == (0, 1, 0)
    # The other ways to change a file need the private key.
    assert "--force" in kept.stderr
    assert "--edit" not in kept.stderr
    text = (seat.secrets / "backend-secrets.yaml").read_text()
    assert f"namespace: {NAMESPACE}" in text
    assert seat.learner.public in text
    assert seat.instructor.public in text


@pytest.mark.parametrize("option", [("--edit",), ("--rotate-value", "API_TOKEN")])
def test_what_needs_the_private_key_says_what_to_do_instead(
    seat: Repository, option: tuple[str, ...]
) -> None:
    seat.run(ENCRYPT, "develop", "backend-secrets", stdin="API_TOKEN=made-up\n")

    result = seat.run(ENCRYPT, "develop", "backend-secrets", *option)

    assert result.returncode == 3
    assert "--force" in result.stderr
    assert "sopslab env" not in result.stderr
