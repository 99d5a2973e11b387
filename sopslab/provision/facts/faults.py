"""Facts about the faults that were injected to practise on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.course.fault_record import Injection, parse_record
from sopslab.layout import ENVIRONMENT
from sopslab.provision.command import lab_script, script
from sopslab.provision.facts.reset import CHECKPOINTS, repository_arguments

# $listed is how a kustomization lists the Secret $secret, as a basic regular expression.
LISTED = """
listed="\\\\( *\\\\)- *\\\\(\\\\./\\\\)\\\\{0,1\\\\}$secret\\\\.yaml *"
"""


def record_file(settings: Settings, environment: Environment) -> str:
    """Return where it is written down what is broken in an environment."""
    return f"{settings.lab_dir}/faults/{environment.id}"


class Injections(FactBase[dict[str, Mapping[str, Injection] | None]]):
    """
    Returns for each environment that was broken the faults in it, by the learner's id; None where
    the record of them is damaged.

    .. code:: python

        {"ada": {"wrong-key": Injection(done=True)}}
    """

    default = dict

    @override
    def command(self, settings: Settings, environments: list[Environment]) -> StringCommand:
        return script(
            """
            cd "$1/faults" 2>/dev/null || exit 0
            shift
            for learner; do
                [ ! -s "$learner" ] || echo "$learner $(cat "$learner")"
            done
            """,
            settings.lab_dir,
            *(one.id for one in environments),
        )

    @override
    def process(self, output: list[str]) -> dict[str, Mapping[str, Injection] | None]:
        records = (line.partition(" ") for line in output)
        return {learner: _parsed(text) for learner, _, text in records}


def _parsed(text: str) -> Mapping[str, Injection] | None:
    try:
        return parse_record(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class Exercise:
    """How far a learner's main is: whether the Secret of the exercise is there, and listed.

    `problem` says why that could not be seen.
    """

    encrypted: bool = False
    listed: bool = False
    problem: str | None = None

    @property
    def done(self) -> bool:
        """Whether there is something to break."""
        return self.encrypted and self.listed


class ExerciseOnMain(FactBase[Exercise]):
    """
    Returns how far the exercise is on main of a learner's repository, as an `Exercise`.
    """

    @staticmethod
    @override
    def default() -> Exercise:
        return Exercise(problem="its repository could not be looked at")

    @override
    def command(self, settings: Settings, environment: Environment, secret: str) -> StringCommand:
        return lab_script(
            settings,
            CHECKPOINTS
            + """
            repository=$6 environment=$7 secret=$8
            """
            + LISTED
            + """
            folder=flux/secrets/$environment
            if ! refresh 2>/dev/null; then
                echo "problem the Git server does not answer at $url.git"
            elif ! bare rev-parse --git-dir >/dev/null 2>&1; then
                echo "problem the repository $repository is gone: \\`sopslab up\\` makes it anew"
            else
                echo looked
                ! bare cat-file -e "refs/heads/main:$folder/$secret.yaml" 2>/dev/null \\
                    || echo encrypted
                ! bare show "refs/heads/main:$folder/kustomization.yaml" 2>/dev/null \\
                    | grep -q "^$listed\\$" || echo listed
            fi
            """,
            *repository_arguments(settings, [environment], "start", ""),
            ENVIRONMENT,
            secret,
        )

    @override
    def process(self, output: list[str]) -> Exercise:
        problem = next((line.partition(" ")[2] for line in output if line[:8] == "problem "), None)
        return Exercise("encrypted" in output, "listed" in output, problem)
