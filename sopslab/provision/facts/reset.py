"""Facts about how far environments are from a checkpoint, each of them one look for all."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.lab.observe import checkpoints
from sopslab.model.repositories import RepositoryState
from sopslab.provision.command import looking
from sopslab.provision.facts.git import GIT_LOGIN, credentials_file
from sopslab.provision.facts.parsing import LabFact

# Names of commits in the bare repository $repository. Where the Git server is not ours, this is a
# copy of the branches there, and the one place where checkpoints are kept.
CHECKPOINTS = (
    GIT_LOGIN
    + """
url=$1 checkpoint=$2 saved=$3
git_login "$4"
bare() { git --git-dir "$repository" "$@"; }
at() { bare rev-parse --verify --quiet "$1^{commit}"; }
refresh() {
    [ -n "$url" ] || return 0
    [ -d "$repository" ] || git init --quiet --bare "$repository"
    timeout 20 git --git-dir "$repository" fetch --quiet --prune "$url.git" \\
        '+refs/heads/*:refs/heads/*'
}
# A lab of an older version, or on another Git server, has no such ref; it began with this commit.
start() {
    at refs/lab/start && return
    begun=$(bare log --all --max-parents=0 --format='%H %s' | sed -n 's/ Begin the lab$//p')
    case $begun in
    '' | *[!0-9a-f]*) return 1 ;;
    esac
    echo "$begun"
}
lost() { [ -z "$1" ] && echo 0 || bare rev-list --count "$1" "^$2"; }
# Where a branch is called `saved`, none can be called `saved/…`.
free_name() { if at refs/heads/saved >/dev/null; then echo "$1" | tr / -; else echo "$1"; fi; }
"""
)


def repository_arguments(
    settings: Settings, environments: Sequence[Environment], checkpoint: str, saved: str
) -> tuple[str, ...]:
    """Return the arguments of `CHECKPOINTS`, then pairs of a learner's id and a bare repository."""
    pairs = [(one.id, bare_repository(settings, one)) for one in environments]
    url = f"{settings.git_url}/{environments[0].repository}" if settings.git_url else ""
    return (
        url,
        checkpoint,
        saved,
        credentials_file(settings, INSTRUCTOR),
        *(part for pair in pairs for part in pair),
    )


class Repositories(LabFact[dict[str, RepositoryState]]):
    """
    Returns how each learner's repository stands to a checkpoint.

    .. code:: python

        {"ada": RepositoryState("4f1c…", "9b2d…", lost=3, saved="saved/20270301T090000Z")}
    """

    look = checkpoints.repository_states
    default = dict

    @override
    def command(
        self, settings: Settings, environments: list[Environment], checkpoint: str, saved: str
    ) -> StringCommand:
        return looking(
            settings,
            checkpoints.repository_states,
            environments=environments,
            checkpoint=checkpoint,
            saved=saved,
        )


def subjects(environments: Sequence[Environment]) -> str:
    """Return in JSON, for scripts, what environments are called."""
    return json.dumps(
        [
            {
                "id": one.id,
                "namespace": one.namespace,
                "system": one.system,
                "source": one.source,
                "kustomization": one.kustomization,
                "tenant": one.tenant,
            }
            for one in environments
        ]
    )
