"""An environment that is well, as the doctor sees it, and what each fault makes of that.

Objects are the recorded ones of the verification; Flux's messages are those it gives.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sopslab.checks.doctor.seen import LiveSecret, Login, Manifest, Objects, Repository, Seen
from sopslab.checks.verification.cluster import Cluster, ClusterKey, Entry, Flux, Identity, Rule
from sopslab.checks.verification.repository import Opened, SecretFile
from sopslab.config.environment import Environment
from sopslab.course.chapter import Chapter

RECORDED = Path(__file__).parents[1] / "verification" / "recorded"
HEAD, LATER = "13901ba4ec12dcccb6c795a2db1be5081e4622c3", "a" * 40
OWN, TEACHER, STRANGER = "age1own", "age1teacher", "age1stranger"
BOTH = frozenset({OWN, TEACHER})
URL = "http://lab-git:8080/learner/lab.git"
AGREED = "^(data|stringData)$"
LISTED = "resources:\n  - lab-canary.yaml\n  - backend-secrets.yaml\n"
UNLISTED = "resources:\n  - lab-canary.yaml\n  # - backend-secrets.yaml\n"

Change = Callable[[Seen], Seen]


def recorded(name: str) -> Any:
    """Return a recorded file."""
    return json.loads((RECORDED / f"{name}.json").read_text())


def manifest(name: str, **changes: Any) -> Manifest:
    """Return an encrypted Secret as it should be, with changes to what its file says."""
    file = SecretFile(name=name, namespace="develop", digests={"A": name}, keys=frozenset("A"))
    return Manifest(replace(file, **changes), BOTH, AGREED)


def healthy() -> Seen:
    """Return an environment with the exercise done, and nothing wrong."""
    kustomizations, repositories = recorded("kustomizations"), recorded("gitrepositories")
    for one in kustomizations:
        one["status"]["lastAppliedRevision"] = f"main@sha1:{HEAD}"
    for one in repositories:
        one["kind"] = "GitRepository"
    flux = Flux(recorded("deployments"), repositories, kustomizations, recorded("receivers"))
    platform = [
        one for one in (*kustomizations, *repositories) if one["metadata"]["name"] == "flux-system"
    ]
    environment = Environment(
        "learner", "Learner", "learner@example.org",
        "develop", "flux-system", "learner", "learner/lab", "flux-system",
    )  # fmt: skip
    return Seen(
        environment,
        Chapter("backend-secrets", "learner"),
        URL,
        Identity(OWN),
        Cluster(nodes=[recorded("node")]),
        Objects(
            flux,
            copy.deepcopy(platform),
            {"develop": "Active", "flux-system": "Active"},
            ClusterKey(present=True, entries={"age.agekey": frozenset({OWN})}),
            Login(200, ours=True, account="/lab/flux"),
            {name: LiveSecret({"A": name}) for name in ("lab-canary", "backend-secrets")},
            stored=True,
        ),
        Repository(
            main=HEAD,
            files=frozenset({"lab-canary.yaml", "backend-secrets.yaml", "kustomization.yaml"}),
            kustomization=LISTED,
            manifests={
                f"{name}.yaml": manifest(name) for name in ("lab-canary", "backend-secrets")
            },
            once_listed=frozenset({"lab-canary.yaml", "backend-secrets.yaml"}),
            rule=Rule(there=True, recipients=BOTH),
            regex=AGREED,
        ),
        401,
        "2.9.3",
    )


def objects(**changes: Any) -> Change:
    """Return a change of what the cluster has."""

    def change(seen: Seen) -> Seen:
        assert isinstance(seen.objects, Objects)
        return replace(seen, objects=replace(seen.objects, **changes))

    return change


def main(**changes: Any) -> Change:
    """Return a change of what is on main."""

    def change(seen: Seen) -> Seen:
        assert isinstance(seen.repository, Repository)
        return replace(seen, repository=replace(seen.repository, **changes))

    return change


def edited(kind: str, name: str, edit: Callable[[Any], object]) -> Change:
    """Return a change of one of Flux's objects: of `deployments`, `repositories`, …"""

    def change(seen: Seen) -> Seen:
        assert isinstance(seen.objects, Objects)
        found = copy.deepcopy(list(getattr(seen.objects.flux, kind)))
        (one,) = [each for each in found if each["metadata"]["name"] == name]
        edit(one)
        flux = replace(seen.objects.flux, **{kind: found})
        return replace(seen, objects=replace(seen.objects, flux=flux))

    return change


def spec(kind: str, name: str, **fields: Any) -> Change:
    """Return a change of the spec of one of Flux's objects."""
    return edited(kind, name, lambda one: one["spec"].update(fields))


def failing(kind: str, name: str, message: str, reason: str = "BuildFailed") -> Change:
    """Return a change that has one of Flux's objects report a failure."""

    def edit(one: Any) -> None:
        ready = {"type": "Ready", "status": "False", "message": message, "reason": reason}
        others = [each for each in one["status"]["conditions"] if each["type"] != "Ready"]
        one["status"]["conditions"] = [ready, *others]

    return edited(kind, name, edit)


def both(*changes: Change) -> Change:
    """Return several changes, one after the other."""

    def change(seen: Seen) -> Seen:
        for one in changes:
            seen = one(seen)
        return seen

    return change


def not_applied(message: str, reason: str = "BuildFailed") -> Change:
    """Return a change that has Flux fail to apply."""
    return failing("kustomizations", "secrets-develop", message, reason)


def not_read(message: str) -> Change:
    """Return a change that has Flux fail to read."""
    return failing("repositories", "learner", message, "GitOperationFailed")


def key(**entries: frozenset[str] | Entry) -> Change:
    """Return a change of what sops-age holds; `__` in a name stands for a dot."""
    named = {name.replace("__", "."): held for name, held in entries.items()}
    return objects(key=ClusterKey(present=True, entries=named))


def on_main(name: str, one: Manifest, **changes: Any) -> Change:
    """Return a change of one Secret on main, in a commit that is later than what is applied."""

    def change(seen: Seen) -> Seen:
        assert isinstance(seen.repository, Repository)
        manifests = {**seen.repository.manifests, f"{name}.yaml": one}
        repository = replace(seen.repository, manifests=manifests, main=LATER, **changes)
        return replace(seen, repository=repository)

    return change


def _without_flag(one: Any) -> None:
    container = one["spec"]["template"]["spec"]["containers"][0]
    container["args"].remove("--no-remote-bases=true")


_SECRET = "backend-secrets"
_NO_MATCH = (
    "cannot get sops data key: Failed to get the data key required to decrypt the SOPS file. Group"
    " 0: FAILED age1x: FAILED - | identity did not match any of the recipients: incorrect identity"
    " for recipient block"
)

# What each fault of `sopslab break` looks like, Flux's own words included.
FAULTS: Mapping[str, Change] = {
    "missing-key": both(
        objects(key=ClusterKey(present=False)), not_applied('secrets "sops-age" not found')
    ),
    "wrong-key": both(key(age__agekey=frozenset({STRANGER})), not_applied(_NO_MATCH)),
    "key-without-agekey": both(
        key(age__key=frozenset({OWN})),
        not_applied(
            "cannot get sops data key: failed to load age identities: Did not find keys in"
            " locations 'SOPS_AGE_SSH_PRIVATE_KEY_FILE', 'SOPS_AGE_KEY'"
        ),
    ),
    "corrupt-key": both(
        key(age__agekey=Entry.INVALID),
        not_applied(
            "failed to import 'age.agekey' data from sops decryption Secret 'flux-system/sops-age':"
            " failed to parse and add to age identities: malformed secret key"
        ),
    ),
    # Flux is Ready: what is not listed any more, it has removed.
    "not-wired": both(
        main(kustomization=UNLISTED),
        objects(live={"lab-canary": LiveSecret({"A": "lab-canary"})}),
    ),
    "wrong-recipient": both(
        on_main(
            _SECRET,
            replace(manifest(_SECRET, opened=Opened.KEY, digests={}),
                    recipients=frozenset({STRANGER})),
        ),
        not_applied(_NO_MATCH),
    ),
    "edited-ciphertext": both(
        on_main(_SECRET, manifest(_SECRET, opened=Opened.NO, digests={})),
        not_applied("error decrypting sops tree: cipher: message authentication failed"),
    ),
    # Flux applies it without a word.
    "encrypted-regex-typo": on_main(
        _SECRET,
        replace(manifest(_SECRET), plain=("data.API_TOKEN",), regex="^(dta|stringData)$"),
        regex="^(dta|stringData)$",
    ),
    "suspended-kustomization": spec("kustomizations", "secrets-develop", suspend=True),
    "wrong-path": both(
        spec("kustomizations", "secrets-develop", path="./flux/secrets/staging"),
        not_applied("kustomization path not found: stat /tmp/x: no such file or directory",
                    "ArtifactFailed"),
    ),
    "git-credential-revoked": both(
        objects(login=Login(401, ours=False, account="/lab/flux")),
        not_read("unable to list remote: authentication required: Unauthorized"),
    ),
    "source-controller-without-git": both(
        spec("repositories", "learner", url="http://lab-git:9/learner/lab.git"),
        not_read("unable to list remote: dial tcp 172.20.0.3:9: connect: connection refused"),
    ),
    "drifted-lockdown-flag": edited("deployments", "kustomize-controller", _without_flag),
}  # fmt: skip
