"""Facts about the lab's Git server and repositories."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.provision.command import lab_script, script


class AccountDigest(FactBase[str | None]):
    """
    Returns the SHA-256 of what the account of `user` is stored as, a name and then a password on a
    line each; None without one. pyinfra logs what a fact is given, so no password is given to it.
    """

    @override
    def command(self, settings: Settings, user: str) -> StringCommand:
        return script(
            """
            cd "$1/credentials/$2" 2>/dev/null && [ -f username ] && [ -f password ] || exit 0
            printf '%s\\n%s' "$(cat username)" "$(cat password)" | sha256sum | cut -c1-64
            """,
            settings.git_dir,
            user,
        )

    @override
    def process(self, output: list[str]) -> str | None:
        return output[0] if output else None


class RemoteHead(FactBase[str | None]):
    """
    Returns the commit of a repository's branch main, or None if there is none (yet).

    The repository is asked over HTTP, as Flux and the learner do.
    """

    @override
    def command(self, settings: Settings, repository: str) -> StringCommand:
        return lab_script(
            settings,
            """
            [ -s "$2" ] || exit 0
            timeout 20 git -c http.proxy= -c "credential.helper=store --file='$2'" \\
                ls-remote --quiet "$1.git" refs/heads/main 2>/dev/null | cut -f1 || true
            """,
            f"{settings.git_base_url}/{repository}",
            settings.login_file(INSTRUCTOR),
        )

    @override
    def process(self, output: list[str]) -> str | None:
        return output[0] if output else None


class CommitNote(FactBase[str | None]):
    """
    Returns what the last commit that lays out a clone says after `Sops-lab-content:`, or
    None.

    None, too, where the copy has anything that its origin lacks, or anything but records below
    `docs` has changed since that commit.
    """

    @override
    def command(self, path: str) -> StringCommand:
        return script(
            """
            cd "$1" 2>/dev/null || exit 0
            [ -d .git ] || exit 0
            pushed=$(git rev-parse -q --verify origin/main || true)
            [ -n "$pushed" ] && [ "$(git rev-parse -q --verify HEAD)" = "$pushed" ] || exit 0
            noted=$(git log -1 --grep '^Sops-lab-content: ' --format=%H)
            [ -n "$noted" ] && git diff --quiet "$noted" HEAD -- . ':(exclude)docs' || exit 0
            git log -1 --format='%(trailers:key=Sops-lab-content,valueonly)' "$noted"
            """,
            path,
        )

    @override
    def process(self, output: list[str]) -> str | None:
        return next((line.strip() for line in output if line.strip()), None)
