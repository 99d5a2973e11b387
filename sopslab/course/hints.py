"""Hints for each step of the chapter: a question, then where to look, then what helps. Pure.

The commands are those of the learner's lab.md. `{chapter.…}` is replaced by the names that the
chapter has for the learner who reads the hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sopslab.course.chapter import COMPARE, SETUP, UP, Chapter
from sopslab.layout import ENVIRONMENT, KUSTOMIZATION

LEVELS = 3
HELP = "git push origin HEAD:help"
"""The command with which a learner at a seat asks the instructor for help."""
_ADD = "git add {chapter.file} {chapter.kustomization}"
_COMMIT = f'git commit -m "chapter-03: add encrypted backend secret for {ENVIRONMENT}"'
_IN_THE_CLONE = ("cat ", "git ", "scripts/", "sopslab validate")


@dataclass(frozen=True)
class Hint:
    """A text, and the commands that belong to it."""

    text: str
    commands: tuple[str, ...] = ()


Hints = tuple[Hint, Hint, Hint]
"""The three hints for a step, from a nudge to the solution."""

_ENCRYPTED: Hints = (
    Hint("What may be committed of a secret, and what of it must never reach Git?"),
    Hint(
        "Look at {chapter.file}. If it is there, is every value under `data` an `ENC[...]`, and are"
        " the recipients under `sops:` those of .sops.yaml?",
        ("cat {chapter.file}",),
    ),
    Hint(
        "The script asks for keys and values, shows no value, and writes the encrypted file. Add"
        " `--force` where a file is there that has to be replaced.",
        ("{chapter.encrypt}",),
    ),
)
_WIRED: Hints = (
    Hint("The file is encrypted. How does Flux know that it is to apply it?"),
    Hint(
        "Look at {chapter.kustomization}: what it lists, and what of it is a comment.",
        ("git diff",),
    ),
    Hint(
        "Uncomment `- {chapter.secret}.yaml` there, commit it, and push.",
        (_ADD, _COMMIT, "git push"),
    ),
)
_COMMITTED: Hints = (
    Hint("Would a colleague who clones the repository now have what you have made?"),
    Hint("Git says which of your changes are in no commit.", ("git status",)),
    Hint(
        "Commit the file and the list together: one without the other applies nothing.",
        (_ADD, _COMMIT),
    ),
)
_PUSHED: Hints = (
    Hint("Flux reads main on the Git server. Does main have your last commit?"),
    Hint(
        "Git compares your branch with the server's. A push that was refused says which file, which"
        " line, and what to change.",
        ("git status",),
    ),
    Hint("Commit what is left, and push it.", ("git push",)),
)

_ALONE: Mapping[str, Hints] = {
    "tools": (
        Hint("Which sops and which age does this shell start?"),
        Hint("Look at the two paths.", ("command -v sops", "command -v age")),
        Hint("Let the shell know the lab's tools, cluster and key.", ('eval "$(sopslab env)"',)),
    ),
    "cluster": (
        Hint("Is there a cluster that could decrypt anything?"),
        Hint(
            "Ask for the namespace that Flux lives in.",
            ("kubectl get ns {chapter.system}",),
        ),
        Hint("The lab brings the cluster back, with its keys and repositories.", (UP,)),
    ),
    "flux": (
        Hint("Is everything of Flux at work, and does nothing stop it from looking?"),
        Hint(
            "What does Flux say of itself, and is anything suspended?",
            ("{chapter.describe}",),
        ),
        Hint(
            "The doctor names what is wrong, and what Flux lacks is brought back by the lab.",
            ("sopslab doctor", UP),
        ),
    ),
    "key": (
        Hint("With whose key would Flux decrypt, and for whom is the file encrypted?"),
        Hint(
            "Look at the Secret sops-age, and compare the public keys of your key file, .sops.yaml"
            " and the cluster.",
            ("kubectl -n {chapter.system} get secret sops-age", COMPARE),
        ),
        Hint("Give the cluster its key, from your key file; then compare again.", (SETUP, COMPARE)),
    ),
    "encrypted": _ENCRYPTED,
    "wired": _WIRED,
    "committed": _COMMITTED,
    "pushed": _PUSHED,
    "source": (
        Hint("What you pushed is on the Git server. Has Flux read it?"),
        Hint(
            "Compare the revision that Flux names with your own commit.",
            (
                f"kubectl -n {{chapter.system}} get kustomization {KUSTOMIZATION}",
                "git rev-parse HEAD",
            ),
        ),
        Hint(
            "Flux looks every minute. If it cannot read the repository, the doctor says why.",
            ("sopslab doctor",),
        ),
    ),
    "applied": (
        Hint("Flux has read the commit. What keeps it from decrypting and applying it?"),
        Hint(
            "Three places can fail: sops-age, .sops.yaml, and the wiring. Which one does Flux's"
            " message speak of?",
            ("{chapter.describe}", COMPARE),
        ),
        Hint(
            "Build the repository as Flux would; what that does not show, the doctor names.",
            ("sopslab validate", "sopslab doctor"),
        ),
    ),
    "secret": (
        Hint("Flux is Ready. Is the Secret where a program would look for it?"),
        Hint(
            "Look in the namespace, without showing a value.",
            ("kubectl -n {chapter.namespace} get secret {chapter.secret}",),
        ),
        Hint(
            "Flux makes a Secret again that somebody deleted, within a few minutes. Compare what is"
            " there with what the file holds.",
            ("sopslab verify",),
        ),
    ),
    "history": (
        Hint("What does reverting a commit not take back?"),
        Hint("Look for the value in what was committed before.", ("git log --patch",)),
        Hint(
            "The value counts as leaked: replace it, and follow rotation-plan.md.",
            ("sopslab credentials plan",),
        ),
    ),
    "hooks": (
        Hint("What looks at a commit before it is made, and does Git start it?"),
        Hint(
            "Look at .pre-commit-config.yaml, and at what it has that is not committed.",
            ("git status",),
        ),
        Hint(
            "The doctor names what Git runs instead, and the command that has it run the checks.",
            ("sopslab doctor",),
        ),
    ),
    "server": (
        Hint("Who looks at a push where the commit hooks were skipped?"),
        Hint("The doctor looks at the Git server, too.", ("sopslab doctor",)),
        Hint("The lab brings the Git server back, and what guards it.", (UP,)),
    ),
}
_INSTRUCTORS = Hint("This is not yours to mend: ask your instructor.", (HELP,))
_AT_A_SEAT: Mapping[str, Hints] = {
    "access": (
        Hint("What does a learner need to get at a seat, and is all of it here?"),
        Hint(
            "Does the namespace of your seat answer with the kubeconfig that you were given?",
            ("kubectl get ns {chapter.namespace}",),
        ),
        _INSTRUCTORS,
    ),
    "key": (
        Hint("With whose key would Flux decrypt, and for whom is the file encrypted?"),
        Hint(
            "If the canary is in the cluster, Flux has a key that opens it. The script compares"
            " .sops.yaml, the files here and the cluster.",
            ("kubectl -n {chapter.namespace} get secret lab-canary", COMPARE),
        ),
        _INSTRUCTORS,
    ),
    "pushed": (
        Hint("Flux reads main on the Git server. What have you made so far, and is it on main?"),
        Hint(
            "Is there an encrypted file that Git does not know yet, or a commit that the server"
            " lacks?",
            ("git status",),
        ),
        Hint(
            "Encrypt, list the file in {chapter.kustomization}, commit, and push.",
            ("{chapter.encrypt}", _ADD, _COMMIT, "git push"),
        ),
    ),
    "encrypted": _ENCRYPTED,
    "wired": _WIRED,
    "source": (
        Hint("What you pushed is on the Git server. Who reads it from there, and when?"),
        Hint(
            "Flux reads within seconds of a push. If the rest of the push has not arrived either,"
            " Flux has not read it.",
            ("kubectl -n {chapter.namespace} get secret lab-canary",),
        ),
        _INSTRUCTORS,
    ),
    "applied": (
        Hint("Flux has read the push. What keeps it from decrypting and applying it?"),
        Hint(
            "Three places can fail: the key, .sops.yaml, and the wiring. Is everything that is"
            " listed committed, and do the public keys fit?",
            ("git status", COMPARE),
        ),
        Hint(
            "Encrypt again with the .sops.yaml of the lab and `--force`, commit, and push. If that"
            " changes nothing: your instructor sees what Flux says.",
            ("{chapter.encrypt}", "git push", HELP),
        ),
    ),
    "secret": (
        Hint("Flux has applied what you pushed. Is the Secret there, and who made it?"),
        Hint(
            "Look at its labels: they name the Kustomization that made it.",
            ("kubectl -n {chapter.namespace} get secret {chapter.secret} --show-labels",),
        ),
        Hint(
            "Delete what was made by hand: within two minutes Flux makes it from what Git has.",
            ("kubectl -n {chapter.namespace} delete secret {chapter.secret}",),
        ),
    ),
}


def steps(*, at_seat: bool) -> list[str]:
    """Return the steps that have hints: at a seat those of `sopslab status`, else those of
    `sopslab verify`."""
    return list(_AT_A_SEAT if at_seat else _ALONE)


def hints_for(step: str, chapter: Chapter, *, at_seat: bool) -> Hints:
    """Return the hints for a step. Raises KeyError for a step without hints."""
    first, second, third = (_AT_A_SEAT if at_seat else _ALONE)[step]
    return _filled(first, chapter), _filled(second, chapter), _filled(third, chapter)


def following(step: str, given: int, chapter: Chapter, *, at_seat: bool) -> tuple[Hint, ...]:
    """Return the next hint for a step, or all of them if all have been given. Raises KeyError for a
    step without hints.

    + given: how many hints were given for that step
    """
    hints = hints_for(step, chapter, at_seat=at_seat)
    return (hints[given],) if given < len(hints) else hints


def in_lines(step: str, given: int, hints: tuple[Hint, ...]) -> list[str]:
    """Return the lines in which hints are shown.

    + given: how many hints for that step were given before
    + hints: the result of `following`
    """
    number = f"Hint {given + 1} of {LEVELS}"
    head = number if len(hints) == 1 else f"All {LEVELS} hints, since there are no others"
    lines = [f"{head}, for the step `{step}`:"]
    for hint in hints:
        lines += [hint.text, *(f"  {command}" for command in hint.commands)]
    return lines


def _filled(hint: Hint, chapter: Chapter) -> Hint:
    filled = (command.format(chapter=chapter) for command in hint.commands)
    commands = tuple(
        chapter.at_work(command) if command.startswith(_IN_THE_CLONE) else command
        for command in filled
    )
    return Hint(hint.text.format(chapter=chapter), commands)
