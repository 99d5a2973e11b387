"""A stand-in for a cluster that signs certificates and gives tokens to learners: a kubectl that
keeps requests, accounts and tokens in files, and a CA that the real openssl makes."""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

from sopslab.config.settings import Settings
from tests.texts import write_program

# Files in its folder tell the stand-in what to do. Some list seats, one in a line: those whose
# requests it `refuses`, `denies`, leaves `unapproved`, or is `silent` about, and those to which it
# `grants_no` token. `bound` lists the users that are bound to a role. If `gone` is there, it
# answers no call; with `hides`, no call for ServiceAccounts; with `breaks`, it deletes no account;
# with `keeps`, it deletes no request; with `distrusts`, it accepts no certificate. `days` says how
# many days a certificate is valid, `granted` how many seconds a token is.
_KUBECTL = """#!/bin/sh
cd "$(dirname "$0")/cluster" || exit 1
echo "$*" >>calls
[ ! -e gone ] || { echo 'connection refused' >&2; exit 1; }
named() { [ -e "$1" ] && grep -qxF "$2" "$1"; }
user_of() {
    token=$(sed -n 's/.*token: "\\(.*\\)"$/\\1/p' "$1")
    [ -z "$token" ] || { cat "tokens/$token"; return; }
    subject=$(sed -n 's/.*client-certificate-data: //p' "$1" | base64 -d \\
        | openssl x509 -noout -subject -nameopt RFC2253)
    subject=${subject#*CN=}
    echo "${subject%%,*}"
}
case " $* " in
*" config view "*) cat config.json ;;
*" get namespace kube-system "*) cat namespace.json ;;
*" auth whoami "*)
    [ ! -e distrusts ] || { echo 'error: You must be logged in (Unauthorized)' >&2; exit 1; }
    user_of "$KUBECONFIG" | jq -R '{status: {userInfo: {username: .}}}' ;;
*" apply "*)
    jq -c '.items[]' >applied
    refused=0
    while read -r item; do
        namespace=$(printf '%s' "$item" | jq -r .metadata.namespace)
        seat=$(printf '%s' "$item" | jq -r '.metadata.labels["sops-lab/seat"]')
        if named refuses "$seat"; then
            echo "Error from server (Forbidden): serviceaccounts is forbidden in $namespace" >&2
            refused=1
            continue
        fi
        file=accounts/$namespace.$(printf '%s' "$item" | jq -r .metadata.name).json
        [ -e "$file" ] || printf '%s' "$item" \\
            | jq -c --arg uid "$(cat /proc/sys/kernel/random/uuid)" '.metadata.uid = $uid' >"$file"
    done <applied
    exit $refused ;;
*" get serviceaccounts "*)
    [ ! -e hides ] || exit 1
    for file in accounts/*.json; do [ ! -e "$file" ] || cat "$file"; done | jq -s '{items: .}' ;;
*" delete --ignore-not-found --filename - "*)
    [ ! -e breaks ] || { echo 'net/http: TLS handshake timeout' >&2; exit 1; }
    jq -r '.items[].metadata | "accounts/\\(.namespace).\\(.name).json"' | xargs rm -f ;;
*" create token "*)
    while [ "$1" != --namespace ]; do shift; done
    namespace=$2
    while [ "$1" != token ]; do shift; done
    user=system:serviceaccount:$namespace:$2
    seat=${namespace#lab-}
    ! named grants_no "${seat%-sys}" || { echo "$2: no token (Forbidden)" >&2; exit 1; }
    token=$(cat /proc/sys/kernel/random/uuid)
    echo "$user" >"tokens/$token"
    jq -n --arg token "$token" --argjson seconds "$(cat granted)" '{
        spec: {expirationSeconds: $seconds},
        status: {token: $token, expirationTimestamp: (now + $seconds | floor | todate)}}' ;;
*" create "*)
    jq -c '.items[]' >created
    refused=0
    while read -r item; do
        name=$(printf '%s' "$item" | jq -r .metadata.name)
        if named refuses "$(printf '%s' "$item" | jq -r '.metadata.labels["sops-lab/seat"]')"; then
            echo "Error from server (Forbidden): $name is forbidden" >&2
            refused=1
            continue
        fi
        printf '%s' "$item" >"requests/$name.json"
        echo "certificatesigningrequest.certificates.k8s.io/$name"
    done <created
    exit $refused ;;
*" certificate approve "*)
    while [ "$1" != approve ]; do shift; done
    shift
    refused=0
    for name; do
        name=${name#*/}
        seat=$(jq -r '.metadata.labels["sops-lab/seat"]' "requests/$name.json")
        ! named unapproved "$seat" || { echo "$name: not allowed" >&2; refused=1; continue; }
        : >"approved/$name"
    done
    exit $refused ;;
*" get certificatesigningrequests "*)
    mark=${*##*sops-lab/request=}
    for request in requests/*-"${mark%% *}".json; do
        [ -e "$request" ] || continue
        name=$(basename "$request" .json)
        seat=$(jq -r '.metadata.labels["sops-lab/seat"]' "$request")
        if named denies "$seat"; then
            jq -c '.status.conditions = [{type: "Denied", message: "by policy"}]' "$request"
        elif [ -e "approved/$name" ] && ! named silent "$seat"; then
            jq -r .spec.request "$request" | base64 -d >request.pem
            openssl x509 -req -in request.pem -CA ca.crt -CAkey ca.key -CAcreateserial \\
                -days "$(cat days)" -out signed.pem 2>/dev/null
            jq -c --arg pem "$(base64 -w 0 signed.pem)" '.status.certificate = $pem' "$request"
        else
            jq -c '.status = {}' "$request"
        fi
    done | jq -s '{items: .}' ;;
*" get pods "*)
    named bound "$(user_of "${KUBECONFIG%%:*}")" \\
        || { echo 'Error from server (Forbidden): no pods' >&2; exit 1; } ;;
*" delete --raw "*) [ -e keeps ] || rm -f requests/*.json approved/* ;;
esac
"""


class SigningCluster:
    """The stand-in, in the bin folder of a lab that has a kubeconfig of its own."""

    def __init__(self, settings: Settings) -> None:
        self.folder = Path(settings.bin_dir) / "cluster"
        if self.folder.exists():
            return
        for name in ("requests", "approved", "accounts", "tokens"):
            (self.folder / name).mkdir(parents=True)
        write_program(Path(settings.bin_dir) / "kubectl", _KUBECTL)
        Path(settings.lab_kubeconfig).parent.mkdir(parents=True, exist_ok=True)
        Path(settings.lab_kubeconfig).write_text("apiVersion: v1\n")
        self.make_anew("https://127.0.0.1:6443")
        self.tell("days", "30")
        self.tell("granted", str(30 * 24 * 3600))

    def make_anew(self, server: str) -> None:
        """Become another cluster: with a new CA, at the URL `server`, and with another id."""
        namespace = {"metadata": {"name": "kube-system", "uid": str(uuid.uuid4())}}
        (self.folder / "namespace.json").write_text(json.dumps(namespace))
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-keyout", self.folder / "ca.key",
             "-out", self.folder / "ca.crt", "-subj", "/CN=kubernetes", "-days", "60"],
            check=True, capture_output=True,
        )  # fmt: skip
        ca = base64.b64encode((self.folder / "ca.crt").read_bytes()).decode()
        cluster = {"server": server, "certificate-authority-data": ca}
        config = {"clusters": [{"name": "kind-lab", "cluster": cluster}], "users": [{"user": {}}]}
        (self.folder / "config.json").write_text(json.dumps(config))

    def tell(self, how: str, *what: str) -> None:
        """Write one of the files that tell the stand-in what to do, and for whom."""
        (self.folder / how).write_text("".join(f"{seat}\n" for seat in what))

    @property
    def calls(self) -> list[str]:
        """The command lines of kubectl so far."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def accounts(self) -> dict[str, dict[str, Any]]:
        """The ServiceAccounts, by the names of their users."""
        found = [json.loads(path.read_text()) for path in (self.folder / "accounts").iterdir()]
        return {
            "system:serviceaccount:{namespace}:{name}".format(**one["metadata"]): one
            for one in found
        }

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests that were not deleted."""
        return [json.loads(path.read_text()) for path in (self.folder / "requests").iterdir()]
