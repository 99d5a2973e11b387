"""The step that makes the learners' environments."""

from __future__ import annotations

import sys
from pathlib import Path

from pyinfra.api import deploy

from sopslab.catalog import load_catalog
from sopslab.layout import (
    CANARY_PATH,
    ENVIRONMENT,
    FLUX_NAMESPACE,
    KEY_ENTRY,
    KEY_SECRET,
    KUSTOMIZATION,
    NAMESPACE,
    TEMPLATES,
)
from sopslab.operations import git
from sopslab.operations.tree import tree
from sopslab.quiz import QUIZ_FILE, load_quiz, template_variable
from sopslab.render import render_tree
from sopslab.settings import Settings

VERSIONS = ("sops", "age", "flux")


@deploy("Learners")
def provide_learners(settings: Settings) -> None:
    """Fill the learner's repository once, and clone it."""
    git.seed(
        name=f"Fill the repository {settings.learner_repository}",
        settings=settings,
        repository=settings.learner_repository,
        template=str(TEMPLATES / "learner"),
        variables=learner_variables(settings),
        canary=CANARY_PATH,
    )
    tree(
        name="Write the instructor's answer key",
        path=f"{settings.lab_dir}/instructor",
        files=render_tree(TEMPLATES / "instructor", learner_variables(settings)),
    )
    git.working_copy(
        name="Clone the learner's working copy",
        settings=settings,
        repository=settings.learner_repository,
        hook=commit_hook(settings),
    )


def learner_variables(settings: Settings) -> dict[str, object]:
    """Return what the templates of a learner's repository use, besides the recipients."""
    catalog = load_catalog(settings.catalog)
    return {
        "lab": settings.lab,
        "learner": settings.learner.model_dump(),
        "environment": ENVIRONMENT,
        "namespace": NAMESPACE,
        "kustomization": KUSTOMIZATION,
        "flux_namespace": FLUX_NAMESPACE,
        "key_secret": KEY_SECRET,
        "key_entry": KEY_ENTRY,
        "repository_url": f"{settings.git_base_url}/{settings.learner_repository}.git",
        "versions": {name: catalog.version(name, "modules") for name in VERSIONS},
        "quiz": template_variable(load_quiz(QUIZ_FILE)),
    }


def commit_hook(settings: Settings) -> str:
    """Return the text of the learner's pre-commit hook."""
    files = render_tree(
        TEMPLATES / "hooks",
        {
            "path": f"{settings.bin_dir}:{Path(sys.executable).parent}",
            "home": f"{settings.lab_dir}/pre-commit",
        },
    )
    return files["pre-commit"].content.decode()
