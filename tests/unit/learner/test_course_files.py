"""The rendered course files: everything that they name exists, and every command in them is
right."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from sopslab.course.quiz import QUIZ_FILE, load_quiz
from tests.texts import replaced

from .conftest import (
    ENCRYPT,
    SETUP,
    TEMPLATES,
    Repository,
    commands,
    course_variables,
    inline,
    write_tree,
)

COURSE = ["README.md", "lab.md", "quiz.md", "rotation-plan.md", "flux/secrets/README.md"]
MADE_LATER = {  # by the provisioner and by the learner
    "flux/secrets/develop/lab-canary.yaml",
    "flux/secrets/develop/backend-secrets.yaml",
}
CHAPTER = """
command -v sops
command -v age
kubectl get ns flux-system
kubectl -n flux-system get secret sops-age
scripts/sops-setup.sh --create-secret
scripts/sops-encrypt-secret.sh develop backend-secrets
git add flux/secrets/develop/backend-secrets.yaml flux/secrets/develop/kustomization.yaml
git commit -m "chapter-03: add encrypted backend secret for develop"
git push
kubectl -n flux-system get kustomization secrets-develop
kubectl -n flux-system describe kustomization secrets-develop
kubectl -n develop get secret backend-secrets
""".strip().splitlines()
PROGRAMS = {"age-keygen", "cat", "command", "eval", "git", "kubectl", "sops", "sopslab"}
VERBS = {
    *("break", "doctor", "env", "fix", "policy", "quiz", "credentials", "status", "up"),
    *("hint", "rotate", "validate", "verify"),
}


def test_lab_md_has_the_commands_of_the_chapter_in_order(repository: Repository) -> None:
    typed = commands((repository.root / "lab.md").read_text())

    positions = [typed.index(command) for command in CHAPTER]
    assert positions == sorted(positions)


@pytest.mark.parametrize("name", COURSE)
def test_every_path_that_is_named_exists(repository: Repository, name: str) -> None:
    text = (repository.root / name).read_text()
    words = [word for part in [*inline(text), *commands(text)] for word in part.split()]
    paths = {
        word
        for word in words
        if re.match(r"(scripts|flux)/", word) or re.fullmatch(r"\.?[a-z-]+\.(md|ya?ml)", word)
    }

    missing = {
        path
        for path in paths - MADE_LATER
        if not any((base / path).exists() for base in (repository.root, repository.secrets))
    }
    assert missing - {Path(path).name for path in MADE_LATER} == set()


def test_a_leaked_key_is_replaced_by_the_lab_and_not_by_hand(repository: Repository) -> None:
    """The Git server demands the recipient that the lab has on record, and a key file of two
    identities is refused by `up`."""
    plan = inline((repository.root / "rotation-plan.md").read_text())
    assert "sopslab rotate learner-key" in plan
    assert not [command for command in plan if "age-keygen" in command]


@pytest.mark.parametrize("name", COURSE)
def test_every_link_leads_somewhere(repository: Repository, name: str) -> None:
    path = repository.root / name

    links = re.findall(r"\]\(([^)]+)\)", path.read_text())

    assert all((path.parent / link).exists() for link in links)


@pytest.mark.parametrize("name", COURSE)
def test_every_command_is_one_that_the_learner_has(repository: Repository, name: str) -> None:
    text = (repository.root / name).read_text()

    for line in commands(text):
        program, *arguments = line.split()
        assert program in PROGRAMS or os.access(repository.root / program, os.X_OK), line
        if program == "sopslab":
            assert arguments[0] in VERBS, line
    for part in inline(text):
        if part.startswith("sopslab "):
            assert part.split()[1] in VERBS, part


@pytest.mark.parametrize("name", COURSE)
def test_every_option_of_the_scripts_exists(repository: Repository, name: str) -> None:
    text = (repository.root / name).read_text()
    usage = {script: repository.run(script, "--help").stdout for script in (SETUP, ENCRYPT)}

    for part in [*inline(text), *commands(text)]:
        for script, documented in usage.items():
            if part.startswith(script):
                options = re.findall(r"--[a-z-]+", part.removeprefix(script))
                assert all(o in documented or o == "--help" for o in options), part


@pytest.mark.parametrize("name", COURSE)
def test_shell_blocks_can_be_parsed(repository: Repository, name: str) -> None:
    text = "\n".join(commands((repository.root / name).read_text()))

    subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_uncommenting_gives_the_line_of_the_chapter(repository: Repository) -> None:
    path = repository.secrets / "kustomization.yaml"
    text = path.read_text()
    assert yaml.safe_load(text)["resources"] == ["lab-canary.yaml"]

    uncommented = replaced(text, "# - backend-secrets.yaml", "- backend-secrets.yaml")

    assert "\n  - backend-secrets.yaml\n" in uncommented
    assert yaml.safe_load(uncommented) == {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["lab-canary.yaml", "backend-secrets.yaml"],
    }


def test_sops_yaml_has_one_rule_for_both_recipients(repository: Repository) -> None:
    (rule,) = yaml.safe_load((repository.root / ".sops.yaml").read_text())["creation_rules"]

    assert rule["encrypted_regex"] == "^(data|stringData)$"
    assert rule["age"] == [repository.learner.public, repository.instructor.public]


@pytest.mark.parametrize(
    ("path", "covered"),
    [
        ("flux/secrets/develop/backend-secrets.yaml", True),
        ("flux/secrets/develop/lab-canary.yaml", True),
        ("flux/secrets/develop/kube-token.yml", True),
        ("flux/secrets/develop/k.yaml", True),
        ("flux/secrets/develop/ku.yaml", True),
        ("flux/secrets/develop/nested/keys.yaml", True),
        ("flux/secrets/develop/kustomization.yaml", False),
        ("flux/secrets/develop/nested/kustomization.yml", False),
        ("flux/secrets/production/backend-secrets.yaml", False),
        ("other/flux/secrets/develop/backend-secrets.yaml", False),
        ("flux/secrets/develop/backend-secrets.json", False),
    ],
)
def test_the_rule_covers_secrets_and_no_kustomization(
    repository: Repository, path: str, covered: bool
) -> None:
    command = ["sops", "encrypt", "--input-type", "yaml", "--filename-override", path]

    result = subprocess.run(
        command,
        input=b"data: {k: v}\n",
        capture_output=True,
        cwd=repository.root,
        env=repository.environment,
        check=False,
    )

    assert (result.returncode == 0) == covered


def test_the_hooks_are_local_and_always_run(repository: Repository) -> None:
    config = yaml.safe_load((repository.root / ".pre-commit-config.yaml").read_text())

    (local,) = config["repos"]
    assert local["repo"] == "local"
    assert {hook["id"]: hook["entry"] for hook in local["hooks"]} == {
        "no-secrets": "sopslab policy pre-commit",
        "flux-kustomize-validate": "sopslab validate",
    }
    for hook in local["hooks"]:
        assert hook["language"] == "system"
        assert hook["always_run"]
        assert not hook["pass_filenames"]
        assert hook["stages"] == ["pre-commit"]


@pytest.mark.parametrize(
    "path",
    ["age.agekey", "keys.txt", ".env", "id_ed25519", "flux/secrets/develop/.new.AbC", "core",
     "scripts/core.7", "core.sh.4711", "sh.core", "kubeconfig.yaml", "flux/kubeconfig"],
)  # fmt: skip
def test_git_overlooks_keys_and_leftovers(repository: Repository, path: str) -> None:
    repository.tool("git", "check-ignore", "--quiet", path)


@pytest.mark.parametrize(
    "path",
    [*sorted(MADE_LATER), *COURSE, "flux/secrets/develop/core.yaml", "flux/secrets/core/a.yaml",
     "flux/secrets/develop/kubeconfig.yaml", "flux/secrets/develop/kubeconfig-prod.yaml"],
)  # fmt: skip
def test_git_keeps_what_belongs_to_the_lab(repository: Repository, path: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as kept:
        repository.tool("git", "check-ignore", "--quiet", path)
    # 128 would be a failure of git itself.
    assert kept.value.returncode == 1


@pytest.mark.parametrize("script", [SETUP, ENCRYPT])
def test_the_scripts_are_clean(repository: Repository, script: str) -> None:
    assert os.access(repository.root / script, os.X_OK)

    repository.tool("shellcheck", "--norc", "--shell=sh", script)


def test_the_quiz_is_complete_and_foldable(repository: Repository) -> None:
    text = (repository.root / "quiz.md").read_text()
    questions = load_quiz(QUIZ_FILE)

    assert text.count("<details>") == text.count("</details>") == len(questions)
    for number, question in enumerate(questions, 1):
        assert f"## {number}. {question.question}\n" in text
        assert question.why in text
        assert question.mistake not in text


def test_the_answer_key_has_answers_and_common_mistakes(tmp_path: Path) -> None:
    write_tree(TEMPLATES / "instructor", tmp_path, course_variables("age1l", "age1i"))

    text = (tmp_path / "answer-key.md").read_text()
    for question in load_quiz(QUIZ_FILE):
        assert f"{question.id} | {question.answer} |" in text
        assert question.mistake in text
        assert question.look_at in text


def test_names_of_another_learner_are_used_throughout(tmp_path: Path) -> None:
    variables = {
        **course_variables("age1l", "age1i"),
        "namespace": "zoe-develop",
        "flux_namespace": "lab-zoe-sys",
        "learner": {"id": "zoe", "name": "Zoë", "email": "zoe@lab.invalid"},
    }
    write_tree(TEMPLATES / "learner", tmp_path, variables)

    lab = (tmp_path / "lab.md").read_text()
    assert "kubectl -n zoe-develop get secret backend-secrets" in lab
    assert "kubectl -n lab-zoe-sys get secret sops-age" in lab
    for path in [*COURSE, SETUP, ENCRYPT, ".sops.yaml"]:
        if path == "quiz.md":  # asks about the chapter's own names
            continue
        text = (tmp_path / path).read_text()
        assert "flux-system" not in text, path
        assert "-n develop" not in text, path


def test_no_private_key_and_no_unrendered_name_is_left(repository: Repository) -> None:
    for path in repository.root.rglob("*"):
        if path.is_file() and ".git" not in path.relative_to(repository.root).parts:
            text = path.read_text()
            assert "AGE-SECRET-KEY" not in text
            assert not re.search(r"#\{ |#% | %#", text), path
