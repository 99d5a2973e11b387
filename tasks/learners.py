"""The step that makes the learners' environments."""

from __future__ import annotations

import functools
import shlex
import sys
from pathlib import Path

from sopslab.artifacts.catalog import pinned_catalog
from sopslab.config.environment import Environment, solo
from sopslab.config.settings import Settings
from sopslab.course.quiz import QUIZ_FILE, load_quiz, template_variable
from sopslab.files.render import render_tree
from sopslab.layout import (
    ENVIRONMENT,
    KEY_ENTRY,
    KEY_SECRET,
    TEMPLATES,
)
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import git, reencryption
from sopslab.provision.operations.tree import tree
from tasks.roster import counted, known_environments

VERSIONS = ("sops", "age", "flux")


@step(Step.LEARNERS)
def provide_learners(settings: Settings) -> None:
    """Fill each learner's repository once, and clone that of the learner on this machine."""
    environments = list(known_environments(settings).values())
    git.seeds(
        name=f"Fill {counted(environments)}",
        settings=settings,
        environments=environments,
        template=str(TEMPLATES / "learner"),
        variables={one.id: learner_variables(settings, one) for one in environments},
    )
    reencryption.instructor(
        name="Encrypt to the instructor's recipient",
        settings=settings,
        environments=environments,
    )
    tree(
        name="Write the instructor's answer key",
        path=f"{settings.lab_dir}/instructor",
        files=render_tree(TEMPLATES / "instructor", learner_variables(settings, solo(settings))),
    )
    git.clone(
        name="Clone the learner's repository",
        settings=settings,
        repository=settings.learner_repository,
        hook=commit_hook(settings),
    )


def learner_variables(settings: Settings, environment: Environment) -> dict[str, object]:
    """Return what the templates of a learner's repository use, except the recipients."""
    return {
        "lab": settings.lab,
        "learner": environment.learner,
        "classroom": environment.is_seat,
        "environment": ENVIRONMENT,
        "namespace": environment.namespace,
        "kustomization": environment.kustomization,
        "flux_namespace": environment.system,
        "age_key_type": settings.age_key_type,
        "key_secret": KEY_SECRET,
        "key_entry": KEY_ENTRY,
        "repository_url": f"{settings.git_base_url}/{environment.repository}.git",
        # Nothing has leaked yet: `sopslab credentials plan` fills it in later.
        "plan": None,
        **_course(settings.catalog),
    }


@functools.cache
def _course(catalog: str) -> dict[str, object]:
    pinned = pinned_catalog(catalog)
    return {
        "versions": {name: pinned.version(name, "modules") for name in VERSIONS},
        "quiz": template_variable(load_quiz(QUIZ_FILE)),
    }


def commit_hook(settings: Settings) -> str:
    """Return the text of the learner's pre-commit hook."""
    files = render_tree(
        TEMPLATES / "hooks",
        {
            "path": shlex.quote(f"{settings.bin_dir}:{Path(sys.executable).parent}"),
            "home": shlex.quote(f"{settings.lab_dir}/pre-commit"),
        },
    )
    return files["pre-commit"].content.decode()
