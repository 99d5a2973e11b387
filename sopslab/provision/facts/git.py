"""Facts about the lab's Git server and repositories."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.provision.command import lab_script, script

# From here on git logs in with the accounts in a file, and with nothing else; past any proxy.
# `timeout git …` is reached too, which a shell function named git would not be.
# Passes on what sops is to read, and nothing where sops would ask others than age about it: what a
# learner writes must not make this machine connect anywhere. Keys of YAML, however they are quoted.
AGE_ONLY = """
age_only() {
    text=$(cat)
    kinds='pgp|(gcp_|hc)?kms|azure_(kv|keyvault)|hc_vault[a-z_]*'
    if printf '%s\\n' "$text" | grep -Eq -e '^[[:space:]-]*[?]|\\\\[xuU]' \\
            -e "(^|[^a-z_])($kinds)[\\"']?[[:space:]]*:"; then
        return 1
    fi
    printf '%s\\n' "$text"
}
"""

GIT_LOGIN = """
git_login() {
    export GIT_CONFIG_COUNT=3 \\
        GIT_CONFIG_KEY_0=http.proxy GIT_CONFIG_VALUE_0='' \\
        GIT_CONFIG_KEY_1=credential.helper GIT_CONFIG_VALUE_1='' \\
        GIT_CONFIG_KEY_2=credential.helper GIT_CONFIG_VALUE_2="store --file='$1'"
}
"""


# Whether the login $1 reads the repository $2; what git says of it is in $new/said. git forgets
# what a server refuses, in the very file: it is given a copy.
READS = (
    GIT_LOGIN
    + """
reads() (
    cp "$1" "$new/login"
    git_login "$new/login"
    timeout 20 git ls-remote --quiet "$base/$2.git" >/dev/null 2>"$new/said"
)
"""
)


def credentials_file(settings: Settings, user: str) -> str:
    """Return the file, in the format of git's credential store, with which `user` logs in."""
    return f"{settings.account_dir(user)}/git-credentials"


class GitUsers(FactBase[list[str]]):
    """
    Returns the users of the embedded Git server that have a password and a line in its htpasswd.
    """

    default = list

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(
            """
            cd "$1" 2>/dev/null || exit 0
            [ -e htpasswd ] || exit 0
            sed -n 's/^\\([^:]*\\):\\$2.*/\\1/p' htpasswd | while read -r user; do
                [ -s "credentials/$user/username" ] && [ -s "credentials/$user/password" ] \\
                    && echo "$user" || true
            done
            """,
            settings.git_dir,
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output


class MovedLogins(FactBase[list[str]]):
    """
    Returns the users whose stored login is for another address than the embedded Git server has
    now: git would not use it.
    """

    default = list

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(
            """
            cd "$1/credentials" 2>/dev/null || exit 0
            # Where git has used a login, it has stored it again in its own way.
            stored=${3%:*}%3a${3##*:}
            for user in *; do
                { IFS= read -r login <"$user/git-credentials"; } 2>/dev/null || continue
                case $login in "$2://"*"@$3" | "$2://"*"@$stored") ;; *) echo "$user" ;; esac
            done
            """,
            settings.git_dir,
            *settings.git_base_url.split("://", 1),
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output


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


class BareRepositories(FactBase[list[str]]):
    """
    Returns which of `repositories` exist among the embedded Git server's data.
    """

    default = list

    @override
    def command(self, settings: Settings, repositories: list[str]) -> StringCommand:
        return script(
            """
            cd "$1/repositories" 2>/dev/null || exit 0
            shift
            for repository; do
                [ -d "$repository.git" ] || continue
                bare=$(git -C "$repository.git" rev-parse --is-bare-repository 2>&1) || continue
                [ "$bare" != true ] || echo "$repository"
            done
            """,
            settings.git_dir,
            *repositories,
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output


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
            credentials_file(settings, INSTRUCTOR),
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


@dataclass(frozen=True)
class Origin:
    """Where a clone came from, and whom it trusts there; "" for what it does not say."""

    url: str
    authority: str


class CloneOrigin(FactBase[Origin | None]):
    """
    Returns the `Origin` of a learner's clone, or None if there is none.
    """

    @override
    def command(self, path: str) -> StringCommand:
        return script(
            """
            [ -d "$1/.git" ] || exit 0
            for key in remote.origin.url http.sslCAInfo; do
                echo "$key $(git -C "$1" config --local --get "$key" 2>/dev/null || true)"
            done
            """,
            path,
        )

    @override
    def process(self, output: list[str]) -> Origin | None:
        values = dict(line.split(" ", 1) for line in output if " " in line)
        return Origin(values.get("remote.origin.url", ""), values.get("http.sslCAInfo", ""))


class Clone(FactBase[list[str]]):
    """
    Returns what a learner's clone lacks: "clone", "hooks". Empty when it is complete.
    """

    @staticmethod
    @override
    def default() -> list[str]:
        return ["clone", "hooks"]

    @override
    def command(self, path: str) -> StringCommand:
        return script(
            """
            # A fact that prints nothing would be its default.
            echo looked
            [ -d "$1/.git" ] || { echo clone; echo hooks; exit 0; }
            [ -x "$1/.git/hooks/pre-commit" ] || echo hooks
            """,
            path,
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output[1:]
