"""Break the objects with which Flux delivers an environment, to practise on, and mend them."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from sopslab.checks.objects import LEFT_ALONE
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.course.mistakes import without_last_letter
from sopslab.errors import LabError
from sopslab.lab.observe.host_secrets import labels_of, manifest
from sopslab.lab.observe.keys import key_file
from sopslab.lab.tools import files, sops
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.layout import (
    FLUX_NAMESPACE,
    GIT_REPOSITORIES,
    KEY_ENTRY,
    KEY_SECRET,
    SECRETS_DIR,
    WATCHED,
)

LOCKDOWN_FLAG = "--no-remote-bases=true"
# Nothing listens on this port: a connection is refused at once, and Flux reports it at once.
_NO_PORT = 9
_NO_FOLDER = "./flux/secrets/staging"
_MANAGER = "sops-lab-fault"
_CONTROLLER = "kustomize-controller"
_ASK_S = 20


class FluxObjects:
    """The objects of one environment."""

    def __init__(self, lab: Lab, environment: Environment) -> None:
        self._lab, self._environment, self._kubectl = lab, environment, Kubectl(lab)

    def require_cluster(self) -> None:
        """Raise LabError if the cluster does not answer."""
        if not self._kubectl.is_ready():
            raise LabError("the cluster does not answer: `sopslab status` tells more")

    def reconcile(self) -> None:
        """Ask Flux to look again, now, at what the environment is made of."""
        system = self._environment.system
        # All GitRepositories: the platform's may be in this namespace, too, and use the same
        # credential.
        self._kubectl.ask_flux_in(system, "--all", GIT_REPOSITORIES, seconds=_ASK_S)
        own = f"kustomization/{self._environment.kustomization}"
        self._kubectl.ask_flux_in(system, own, seconds=_ASK_S)

    def inflict(self, fault: str) -> None:
        """Inject one fault into the cluster. Flux is told to leave an object alone if it would
        otherwise put it back by itself. Raises LabError, Failed and Undecided."""
        match fault:
            case "missing-key":
                self._delete_key()
            case "wrong-key":
                self._give_key(KEY_ENTRY, sops.new_identity(self._lab))
            case "key-without-agekey":
                self._give_key("age.key", self._identity())
            case "corrupt-key":
                self._give_key(KEY_ENTRY, without_last_letter(self._identity()))
            case "suspended-kustomization":
                self._patch_kustomization({"spec": {"suspend": True}})
            case "wrong-path":
                self._patch_kustomization(_hands_off({"path": _NO_FOLDER}))
            case "git-credential-revoked":
                self._revoke_credential()
            case "source-controller-without-git":
                nowhere = f"{_without_port(self._lab.git_base_cluster_url)}:{_NO_PORT}"
                self._patch_source(_hands_off({"url": self._url_at(nowhere)}))
            case "drifted-lockdown-flag":
                self._take_flag_off()
            case _:
                raise LabError(f"{fault} is not a fault in the cluster")

    def mend(self, fault: str) -> None:
        """Restore what a fault changed in an object; do nothing about a key or a credential, which
        is put back elsewhere. Raises Failed."""
        match fault:
            case "suspended-kustomization":
                self._patch_kustomization({"spec": {"suspend": None}})
            case "wrong-path":
                self._patch_kustomization(_hands_on({"path": f"./{SECRETS_DIR}"}))
            case "source-controller-without-git":
                url = self._url_at(self._lab.git_base_cluster_url)
                self._patch_source(_hands_on({"url": url}))
            case "drifted-lockdown-flag":
                self._kubectl.run(
                    "--namespace", FLUX_NAMESPACE, "annotate", "deployment", _CONTROLLER,
                    f"{LEFT_ALONE}-",
                )  # fmt: skip
                self._await_controller()

    def _url_at(self, server: str) -> str:
        return f"{server}/{self._environment.repository}.git"

    def _patch_kustomization(self, patch: dict[str, Any]) -> None:
        one = self._environment
        self._kubectl.patch("kustomization", one.kustomization, one.system, patch, manager=_MANAGER)

    def _patch_source(self, patch: dict[str, Any]) -> None:
        one = self._environment
        self._kubectl.patch("gitrepository", one.source, one.system, patch, manager=_MANAGER)

    def _identity(self) -> bytes:
        path = key_file(self._lab, self._environment.key)
        identity = files.read(path)
        if identity is None:
            raise LabError(f"{path} cannot be read")
        return identity

    def _delete_key(self) -> None:
        self._kubectl.run(
            "--namespace", self._environment.system, "delete", "secret", KEY_SECRET,
            "--ignore-not-found",
        )  # fmt: skip

    def _give_key(self, entry: str, identity: bytes) -> None:
        """Replace the key's Secret by a new one that has only this entry. It is not changed in
        place, because `up` and a reset, which apply the Secret again, have to own each of its
        fields."""
        one = self._environment
        key = manifest(one.system, KEY_SECRET, {entry: identity}, labels_of(one) | WATCHED)
        self._delete_key()
        self._kubectl.apply([key], force=False, patience=60)

    def _revoke_credential(self) -> None:
        name, system = self._environment.login, self._environment.system
        login = self._kubectl.get("secret", name, system)
        if login is None:
            raise LabError(f"the Secret {name} is not in {system}: `sopslab up` brings it back")
        password = base64.b64encode(secrets.token_bytes(32))
        kept = {field: login["metadata"].get(field) for field in ("name", "namespace", "labels")}
        refused = {
            "apiVersion": login["apiVersion"],
            "kind": login["kind"],
            "type": login["type"],
            "metadata": kept,
            "data": {**login["data"], "password": base64.b64encode(password).decode()},
        }
        self._kubectl.apply([refused], patience=60)

    def _take_flag_off(self) -> None:
        found = self._kubectl.get("deployment", _CONTROLLER, FLUX_NAMESPACE)
        if found is None:
            raise LabError(f"there is no {_CONTROLLER}: `sopslab up` brings it back")
        first = found["spec"]["template"]["spec"]["containers"][0]
        arguments = [one for one in first["args"] if one != LOCKDOWN_FLAG]
        container = {"name": first["name"], "args": arguments}
        patch = _hands_off({"template": {"spec": {"containers": [container]}}})
        self._kubectl.patch(
            "deployment", _CONTROLLER, FLUX_NAMESPACE, patch, manager=_MANAGER, strategy="strategic"
        )
        self._await_controller()

    def _await_controller(self) -> None:
        self._kubectl.run(
            "--namespace", FLUX_NAMESPACE, "rollout", "status", f"deployment/{_CONTROLLER}",
            "--timeout", "50s",
        )  # fmt: skip


def _hands_off(spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"annotations": {LEFT_ALONE: "disabled"}}, "spec": spec}


def _hands_on(spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"annotations": {LEFT_ALONE: None}}, "spec": spec}


def _without_port(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition(':')[0]}"
