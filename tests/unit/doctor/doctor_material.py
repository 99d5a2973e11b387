"""A healthy environment as a look sees it, and how it looks with each fault.

Objects are recorded from a cluster; the messages are Flux's own.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from sopslab.checks.board.steps import chapter_at
from sopslab.checks.rules.machine import HOOKS_PATH
from sopslab.checks.snapshot import (
    Access,
    Branches,
    Cluster,
    ClusterKey,
    Commit,
    Entry,
    GitServer,
    Guard,
    History,
    Hooks,
    Identity,
    LiveSecret,
    Login,
    Manifest,
    Opened,
    Part,
    Push,
    Rule,
    Snapshot,
    Tool,
    Tree,
    known,
)
from sopslab.config.environment import Environment
from sopslab.course.chapter import Chapter
from sopslab.policy.findings import Report

RECORDED = Path(__file__).parents[1] / "verification" / "recorded"
HEAD, LATER = "13901ba4ec12dcccb6c795a2db1be5081e4622c3", "a" * 40
OWN, TEACHER, STRANGER = "age1own", "age1teacher", "age1stranger"
BOTH = frozenset({OWN, TEACHER})
URL = "http://lab-git:8080/learner/lab.git"
AGREED = "^(data|stringData)$"
LISTED = "resources:\n  - lab-canary.yaml\n  - backend-secrets.yaml\n"
UNLISTED = "resources:\n  - lab-canary.yaml\n  # - backend-secrets.yaml\n"

OWNER = "flux-system/secrets-develop"
Change = Callable[[Snapshot], Snapshot]


def recorded(name: str) -> Any:
    """Return the content of a recorded file."""
    return json.loads(_text(name))


@cache
def _text(name: str) -> str:
    return (RECORDED / f"{name}.json").read_text()


def manifest(name: str, **changes: Any) -> Manifest:
    """Return a correctly encrypted Secret, with changes."""
    right = Manifest(
        name, "develop", frozenset("A"), BOTH, AGREED, opened=Opened.YES, digests={"A": name}
    )
    return replace(right, **changes)


def live(name: str, value: str = "", **changes: Any) -> LiveSecret:
    """Return the Secret that Flux makes of a manifest in the cluster, with changes."""
    return replace(LiveSecret(frozenset("A"), {"A": value or name}, OWNER), **changes)


def healthy() -> Snapshot:
    """Return an environment in which the exercise is done and nothing is wrong."""
    kustomizations, repositories = recorded("kustomizations"), recorded("gitrepositories")
    for one in kustomizations:
        one["status"]["lastAppliedRevision"] = f"main@sha1:{HEAD}"
    for one in repositories:
        one["status"]["artifact"]["revision"] = f"main@sha1:{HEAD}"
    platform = [
        one for one in (*kustomizations, *repositories) if one["metadata"]["name"] == "flux-system"
    ]
    environment = Environment(
        "learner", "Learner", "learner@example.org",
        "develop", "flux-system", "learner", "learner/lab", "flux-system",
    )  # fmt: skip
    return Snapshot(
        environment,
        Chapter("backend-secrets", "learner"),
        URL,
        tools=[Tool("sops", "3.13.3", "3.13.3"), Tool("flux", "2.9.3", "2.9.3")],
        server=GitServer("http://git", 401, Guard(HOOKS_PATH, Part.SAME, Part.SAME)),
        identity=Identity(OWN),
        instructor=Identity(TEACHER),
        cluster=Cluster(nodes=[recorded("node")]),
        controllers=recorded("deployments"),
        sources=repositories,
        kustomizations=kustomizations,
        receivers=recorded("receivers"),
        platform=copy.deepcopy(platform),
        namespaces={"develop": "Active", "flux-system": "Active"},
        key=ClusterKey(present=True, entries={"age.agekey": frozenset({OWN})}),
        login=Login(200, ours=True, account="/lab/flux"),
        stored=True,
        holder="",
        live={name: live(name) for name in ("lab-canary", "backend-secrets")},
        there=True,
        branches=Branches(HEAD),
        tree=Tree(
            HEAD,
            frozenset({"lab-canary.yaml", "backend-secrets.yaml", "kustomization.yaml"}),
            LISTED,
            {f"{name}.yaml": manifest(name) for name in ("lab-canary", "backend-secrets")},
            frozenset({"lab-canary.yaml", "backend-secrets.yaml"}),
            Rule(there=True, recipients=BOTH),
            AGREED,
        ),
        hooks=Hooks("/clone/.git/hooks/pre-commit"),
        commit=Commit(HEAD),
        push=Push(),
        history=History(Report(checked=7), "learner/lab"),
        access=None,
    )


def seated(seen: Snapshot) -> Snapshot:
    """Return an environment as that of a seat. Of its names, only that of the namespace with Flux's
    objects is another one, so that changes of the environment of a learner alone fit it, too."""
    environment = replace(seen.environment, system="lab-learner-sys")
    seen = spec("kustomizations", "secrets-develop", serviceAccountName=environment.account)(seen)
    tenant = copy.deepcopy(known(seen.platform)[0])
    tenant["metadata"]["name"] = environment.tenant
    return replace(
        seen,
        environment=environment,
        chapter=chapter_at(environment),
        platform=[*known(seen.platform), tenant],
        namespaces=dict.fromkeys((environment.namespace, environment.system), "Active"),
        live={
            name: replace(one, owner=f"{environment.system}/{environment.kustomization}")
            for name, one in known(seen.live).items()
        },
        hooks=None,
        access=Access(kubeconfig=True, password=True),
    )


def facets(**changes: Any) -> Change:
    """Return a change that sets facets of the snapshot."""
    return lambda seen: replace(seen, **changes)


def main(**changes: Any) -> Change:
    """Return a change that sets fields of the tree."""
    return lambda seen: replace(seen, tree=replace(known(seen.tree), **changes))


def pushed(commit: str) -> Change:
    """Return a change that makes a commit both main and the HEAD of the clone."""
    return both(main(commit=commit), facets(branches=Branches(commit), commit=Commit(commit)))


def edited(kind: str, name: str, edit: Callable[[Any], object]) -> Change:
    """Return a change that edits one object in a facet such as `controllers` or `sources`."""

    def change(seen: Snapshot) -> Snapshot:
        found = copy.deepcopy(list(known(getattr(seen, kind))))
        (one,) = [each for each in found if each["metadata"]["name"] == name]
        edit(one)
        return facets(**{kind: found})(seen)

    return change


def spec(kind: str, name: str, **fields: Any) -> Change:
    """Return a change that sets fields in the spec of a Flux object."""
    return edited(kind, name, lambda one: one["spec"].update(fields))


def failing(kind: str, name: str, message: str, reason: str = "BuildFailed") -> Change:
    """Return a change after which a Flux object reports a failure."""

    def edit(one: Any) -> None:
        ready = {"type": "Ready", "status": "False", "message": message, "reason": reason}
        others = [each for each in one["status"]["conditions"] if each["type"] != "Ready"]
        one["status"]["conditions"] = [ready, *others]

    return edited(kind, name, edit)


def both(*changes: Change) -> Change:
    """Return a change that makes several changes, one after the other."""

    def change(seen: Snapshot) -> Snapshot:
        for one in changes:
            seen = one(seen)
        return seen

    return change


def not_applied(message: str, reason: str = "BuildFailed") -> Change:
    """Return a change after which Flux fails to apply."""
    return failing("kustomizations", "secrets-develop", message, reason)


def not_read(message: str) -> Change:
    """Return a change after which Flux fails to read the repository."""
    return failing("sources", "learner", message, "GitOperationFailed")


def being_built(holder: str) -> Change:
    """Return a change after which Flux builds main for long, and the build of a learner holds up
    all others."""
    building = {
        "type": "Reconciling",
        "reason": "Progressing",
        "message": f"Building manifests for revision main@sha1:{LATER} with a timeout of 1m0s",
        "lastTransitionTime": "2026-11-28T10:00:00Z",
    }
    told = [building, {"type": "Ready", "status": "Unknown"}]
    at_work = edited(
        "kustomizations", "secrets-develop", lambda one: one["status"].update(conditions=told)
    )
    return both(at_work, facets(holder=holder))


def key(**entries: frozenset[str] | Entry) -> Change:
    """Return a change that sets what sops-age holds; `__` in a name stands for a dot."""
    named = {name.replace("__", "."): held for name, held in entries.items()}
    return facets(key=ClusterKey(present=True, entries=named))


def on_main(name: str, one: Manifest, **changes: Any) -> Change:
    """Return a change that puts a Secret on main, in a commit that Flux has not applied yet."""

    def change(seen: Snapshot) -> Snapshot:
        manifests = {**known(seen.tree).manifests, f"{name}.yaml": one}
        return both(pushed(LATER), main(manifests=manifests, **changes))(seen)

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

# The appearance of each fault of `sopslab break`, with Flux's own messages.
FAULTS: Mapping[str, Change] = {
    "missing-key": both(
        facets(key=ClusterKey(present=False)), not_applied('secrets "sops-age" not found')
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
    # Flux is Ready: it has removed the Secret that is no longer listed.
    "not-wired": both(
        main(kustomization=UNLISTED),
        facets(live={"lab-canary": live("lab-canary")}),
    ),
    "wrong-recipient": both(
        on_main(
            _SECRET,
            manifest(_SECRET, opened=Opened.KEY, digests={}, recipients=frozenset({STRANGER})),
        ),
        not_applied(_NO_MATCH),
    ),
    "edited-ciphertext": both(
        on_main(_SECRET, manifest(_SECRET, opened=Opened.NO, digests={})),
        not_applied("error decrypting sops tree: cipher: message authentication failed"),
    ),
    # Flux applies it without any message.
    "encrypted-regex-typo": on_main(
        _SECRET,
        manifest(_SECRET, plain=("data.API_TOKEN",), regex="^(dta|stringData)$"),
        regex="^(dta|stringData)$",
    ),
    "suspended-kustomization": spec("kustomizations", "secrets-develop", suspend=True),
    "wrong-path": both(
        spec("kustomizations", "secrets-develop", path="./flux/secrets/staging"),
        not_applied("kustomization path not found: stat /tmp/x: no such file or directory",
                    "ArtifactFailed"),
    ),
    "git-credential-revoked": both(
        facets(login=Login(401, ours=False, account="/lab/flux")),
        not_read("unable to list remote: authentication required: Unauthorized"),
    ),
    "source-controller-without-git": both(
        spec("sources", "learner", url="http://lab-git:9/learner/lab.git"),
        not_read("unable to list remote: dial tcp 172.20.0.3:9: connect: connection refused"),
    ),
    "drifted-lockdown-flag": edited("controllers", "kustomize-controller", _without_flag),
}  # fmt: skip
