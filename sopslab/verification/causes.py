"""What Flux and the API server say when something goes wrong, what that means, and what helps.

The texts are those of Flux 2.9 (kustomize-controller 1.9, source-controller 1.9). A message is
recognised, never repeated: an API server that refuses an object quotes what it refuses. This table
speaks for every verb: `meaning` where Python has the message, `TELLING` where a script has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sopslab.layout import KEY_SECRET, KUSTOMIZATION
from sopslab.verification.chapter import UP, Chapter


@dataclass(frozen=True)
class Cause:
    """One way to fail: its id, how its message is recognised, what it means, and what helps.

    In what it means, `{namespace}` stands for the learner's, and `{kustomization}` for what has
    the message.
    """

    id: str
    pattern: str
    text: str
    fix: Callable[[Chapter], str]

    def meaning(self, chapter: Chapter) -> str:
        """Return what it means for a learner."""
        return self.text.format(namespace=chapter.namespace, kustomization=KUSTOMIZATION)


def _up(_chapter: Chapter) -> str:
    return UP


def _validate(chapter: Chapter) -> str:
    return chapter.at_work("sopslab validate")


# The first that matches counts, so the particular comes before the general.
APPLYING = (
    Cause(
        "key-missing",
        rf'secrets? "{KEY_SECRET}" not found',
        f"Flux finds no Secret {KEY_SECRET}",
        lambda chapter: chapter.setup,
    ),
    Cause(
        "key-damaged",
        r"failed to parse and add to age identities|malformed secret key|failed to import '",
        f"the key in {KEY_SECRET} is damaged",
        lambda chapter: chapter.setup,
    ),
    Cause(
        "key-other",
        r"did not match any of the recipients|incorrect identity for recipient",
        f"the key in {KEY_SECRET} is not one of those that the file is encrypted to",
        lambda chapter: chapter.compare,
    ),
    Cause(
        "key-unnamed",
        r"failed to load age identities|Did not find keys in locations",
        f"{KEY_SECRET} has no entry that ends in .agekey, or an empty one",
        lambda chapter: chapter.setup,
    ),
    Cause(
        "key-unfit",
        r"cannot get sops data key|Error getting data key|0 successful groups",
        f"no key in {KEY_SECRET} opens the file",
        lambda chapter: chapter.compare,
    ),
    Cause(
        "value-plain",
        r"does not match sops' data format",
        "the file is marked as encrypted, but a value in it is plain text",
        lambda chapter: chapter.encrypt_again,
    ),
    Cause(
        "value-changed",
        r"error decrypting sops tree|cipher: message authentication failed|failed to decrypt",
        "the file was changed after it was encrypted",
        lambda chapter: chapter.encrypt_again,
    ),
    Cause(
        "decryption-off-or-no-mac",
        r"is SOPS encrypted, configuring decryption is required",
        "the file lost its MAC, or the Kustomization {kustomization} its spec.decryption",
        lambda chapter: chapter.encrypt_again,
    ),
    Cause(
        "decryption-off",
        r"\.sops: field not declared in schema",
        "the Kustomization {kustomization} has no spec.decryption",
        _up,
    ),
    Cause(
        "too-large",
        r"exceeding limit",
        "a file is larger than the 5 MiB that Flux decrypts",
        _validate,
    ),
    Cause(
        "not-base64",
        r"illegal base64 data",
        "a value under data is not base64: it is still encrypted, or the mask of flux build",
        lambda chapter: chapter.encrypt_again,
    ),
    Cause(
        "path-missing",
        r"kustomization path not found|stat .*no such file or directory",
        "the folder that the Kustomization {kustomization} names is not in the repository",
        _validate,
    ),
    Cause(
        "list-broken",
        r"accumulating resources|evalsymlink failure|no such file or directory|kustomize build",
        "kustomization.yaml lists something that is not there or cannot be read",
        _validate,
    ),
    Cause(
        "yaml-broken",
        r"MalformedYAML|yaml: |error converting YAML",
        "a file in the repository is not valid YAML",
        _validate,
    ),
    Cause(
        "over-quota",
        r"exceeded quota",
        "the quota of {namespace} has no room for all that is listed",
        lambda chapter: f"kubectl -n {chapter.namespace} describe resourcequota",
    ),
    Cause(
        "refused-by-admission",
        r"admission webhook .*denied|ValidatingAdmissionPolicy .*denied|violates PodSecurity",
        "an admission policy of the cluster refuses an object that is listed",
        _validate,
    ),
    Cause(
        "forbidden",
        r"is forbidden|[Ff]orbidden",
        "an object is not what Flux may apply here: Secrets and ConfigMaps in {namespace}",
        _validate,
    ),
    Cause(
        "namespace-other",
        r'namespaces? "[^"]*" not found|namespace not specified',
        "an object names a namespace other than {namespace}",
        _validate,
    ),
    Cause(
        "invalid",
        r"no matches for kind|field not declared|dry-run failed|failed to create typed|Invalid",
        "the API server refuses an object as invalid",
        _validate,
    ),
    Cause(
        "cross-namespace",
        r"can't access|cross-namespace",
        "the Kustomization {kustomization} refers to another namespace, which is locked down",
        _up,
    ),
    Cause(
        "source-empty",
        r"[Ss]ource (artifact )?(is )?not (ready|found)|artifact not found|retrying in",
        "Flux has nothing to apply yet: the source has no artifact",
        lambda chapter: chapter.reconcile,
    ),
    Cause(
        "artifact-unreachable",
        r"failed to (get|fetch|download) artifact|failed to untar|connection refused",
        "Flux cannot fetch the artifact from the source controller",
        lambda chapter: chapter.reconcile,
    ),
    Cause(
        "not-ready",
        r"timeout waiting for|health check failed|context deadline exceeded",
        "something that was applied did not become ready in time",
        lambda chapter: chapter.describe,
    ),
)

READING = (
    Cause(
        "login-refused",
        r"authentication required|authorization failed|[Uu]nauthorized|\b40[13]\b",
        "the Git server refuses Flux's credentials",
        _up,
    ),
    Cause(
        "branch-missing",
        r"couldn't find remote ref|reference not found|branch '.*' not found",
        "the branch main is not on the Git server",
        lambda chapter: chapter.at_work("git push origin HEAD:main"),
    ),
    Cause(
        "repository-empty",
        r"remote repository is empty|empty git repository",
        "the repository on the Git server is empty",
        lambda chapter: chapter.at_work("git push origin HEAD:main"),
    ),
    Cause(
        "repository-missing",
        r"repository not found|\b404\b",
        "the Git server does not have the repository",
        _up,
    ),
    Cause(
        "server-silent",
        r"connection refused|no such host|no route to host|i/o timeout|deadline exceeded|EOF"
        r"|server misbehaving|connection reset",
        "the Git server does not answer Flux",
        _up,
    ),
)


# What notification-controller says of a Receiver.
ANSWERING = (
    Cause(
        "token-missing",
        r"(?i)unable to read token|secrets? \S+ not found|no 'token' key",
        "the Secret with the token that it shares with the Git server is not there",
        _up,
    ),
)

# What the API server answers whoever applies something, and kubectl where nothing answers.
SERVING = (
    Cause(
        "api-silent",
        r"(?i)connection refused|unable to connect to the server|no route to host|i/o timeout"
        r"|deadline exceeded|connection reset|TLS handshake|server misbehaving|no such host"
        r"|EOF|server is currently unable|too many requests",
        "the API server does not answer",
        _up,
    ),
    Cause(
        "api-unauthorized",
        r"(?i)unauthorized|must be logged in|x509: ",
        "the API server does not accept the lab's certificate",
        _up,
    ),
    Cause(
        "namespace-terminating",
        r"(?i)being terminated|NamespaceTerminating",
        "the namespace is being deleted",
        _up,
    ),
    Cause("over-quota", r"exceeded quota", "a quota of the cluster has no room for it", _up),
    Cause(
        "refused-by-admission",
        r"admission webhook .*denied|ValidatingAdmissionPolicy .*denied|violates PodSecurity"
        r"|failed calling webhook",
        "an admission policy of the cluster refuses it",
        _up,
    ),
    Cause(
        "forbidden", r"(?i)forbidden|not allowed", "the lab may not do that in this cluster", _up
    ),
    Cause(
        "object-missing",
        r"(?i)not ?found|no matches for kind|doesn't have a resource type",
        "what it belongs to is not there",
        _up,
    ),
    Cause(
        "conflict",
        r"(?i)conflict|already exists|has been modified",
        "somebody else has changed it at the same moment",
        _up,
    ),
    Cause(
        "too-large",
        r"(?i)too large|too long|exceeds? the maximum|request entity",
        "it is larger than the API server takes",
        _up,
    ),
    Cause(
        "invalid",
        r"(?i)invalid|field not declared|failed to create typed|unknown field|error validating"
        r"|error parsing|cannot unmarshal|immutable|BadRequest",
        "the API server refuses it as invalid",
        _up,
    ),
    Cause(
        "api-broken",
        r"(?i)internal error|InternalError|etcdserver|no space left",
        "the API server has an error of its own",
        _up,
    ),
)

_TABLES = {
    "GitRepository": READING,
    "Kustomization": APPLYING,
    "Receiver": ANSWERING,
    "API": SERVING,
}
_UNKNOWN = "the reason is not one that is known here"
_SILENT = "nothing was reported yet"
# Reasons are words of Flux's own source.
_REASON = re.compile(r"[A-Z][A-Za-z]{1,40}")


def cause_of(message: str, causes: tuple[Cause, ...]) -> Cause | None:
    """Return what a message of Flux means, None for one that is not known."""
    return next((cause for cause in causes if re.search(cause.pattern, message)), None)


def meaning(kind: str, ready: Mapping[str, Any], name: str, namespace: str) -> str:
    """Return in words of ours what the condition Ready of an object says.

    + kind: `GitRepository`, `Kustomization` or `Receiver`
    + ready: the condition, empty where nothing was reported
    + name: the object's name
    + namespace: where what it applies arrives
    """
    match ready.get("status"):
        case "True":
            return "ready"
        case "False":
            return _of_failure(kind, ready, name, namespace)
        case "Unknown":
            return "Flux is at work on it"
    return _SILENT


def _of_failure(kind: str, ready: Mapping[str, Any], name: str, namespace: str) -> str:
    cause = cause_of(str(ready.get("message") or ""), _TABLES[kind])
    if cause is not None:
        return cause.text.format(namespace=namespace, kustomization=name)
    reason = str(ready.get("reason") or "")
    return f"{_UNKNOWN} ({reason})" if _REASON.fullmatch(reason) else _UNKNOWN


# How kubectl, flux and the API server begin what they say; git and kind begin otherwise.
_FOREIGN = re.compile(
    r"(?P<reason>^|: )\s*(Error from server|Error when |error (validating|parsing|when) "
    r"|error: (error |unable to (recognize|decode)|You must be logged in|the server |no matches)"
    r"|Unable to connect to the server|The connection to the server"
    r'|The \S+ ".*" is invalid|The request is invalid|[EWIF]\d{4} \d\d:\d\d:|✗ )'
    r"|Invalid value: |admission webhook|(is|are) invalid: |is forbidden: "
)


def said(line: str) -> str:
    """Return a line of a script's errors as it may be shown.

    What kubectl or flux has said is told by what it means; a sentence of ours stays as it is, as
    does a reason of ours in front of theirs.
    """
    found = _FOREIGN.search(line)
    if found is None:
        return line
    ours = line[: found.end("reason")] if found["reason"] else ""
    cause = cause_of(line, SERVING)
    return f"{ours}the cluster refused something: {cause.text if cause else _UNKNOWN}"


def _as_jq(text: str) -> str:
    """Return a literal of jq that can stand between the single quotes of a shell."""
    return json.dumps(text, ensure_ascii=True).replace("'", "\\u0027")


def _table(kind: str, causes: tuple[Cause, ...]) -> str:
    pairs = ",\n".join(f"[{_as_jq(one.pattern)}, {_as_jq(one.text)}]" for one in causes)
    return f"{_as_jq(kind)}: [\n{pairs}]"


# The same for scripts: $telling holds definitions for jq, of which `meaning($kind; $name;
# $namespace)` tells what a condition says; `refused` tells what the API server has said on stdin.
TELLING = (
    "telling='\ndef causes: {\n"
    + ",\n".join(_table(kind, causes) for kind, causes in _TABLES.items())
    + f"""}};
def recognised($kind; $name; $namespace): . as $said
    | first(causes[$kind][] | select(.[0] as $pattern | $said | test($pattern)) | .[1]
        | gsub("\\\\{{kustomization\\\\}}"; $name) | gsub("\\\\{{namespace\\\\}}"; $namespace));
def meaning($kind; $name; $namespace):
    if . == null or .status == null then {_as_jq(_SILENT)}
    elif .status == "True" then "ready"
    elif .status == "Unknown" then "Flux is at work on it"
    else first((.message // "" | recognised($kind; $name; $namespace)),
        {_as_jq(_UNKNOWN)} + (.reason // "" | if test("^{_REASON.pattern}$")
            then " (\\(.))" else "" end))
    end;
'
refused() {{
    jq --raw-input --slurp --raw-output "$telling"'
        first(recognised("API"; ""; ""), {_as_jq(_UNKNOWN)})'
}}
"""
)
