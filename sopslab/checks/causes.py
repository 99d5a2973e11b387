"""Error messages of Flux and the API server, their meaning, and what helps.

The texts are those of Flux 2.9 (kustomize-controller 1.9, source-controller 1.9). A message is only
recognised and never repeated, because an API server that refuses an object quotes the object. All
verbs use these tables: `meaning` explains conditions of Flux's objects, `told` and `reason` explain
what programs write to standard error, and `for_shell` gives the tables to learners' scripts.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sopslab.course.chapter import UP, Chapter
from sopslab.layout import KEY_SECRET, KUSTOMIZATION
from sopslab.model.trouble import Trouble


def _up(_chapter: Chapter) -> str:
    return UP


@dataclass(frozen=True)
class Cause:
    """One way to fail: its id, how its message is recognised, what it means, and what helps.

    In `text`, `{namespace}` stands for the learner's namespace, and `{kustomization}` for the name
    of the object that has the message. `trouble` is why a cluster cannot be asked that answers a
    look with such a message.
    """

    id: str
    pattern: str
    text: str
    fix: Callable[[Chapter], str] = _up
    trouble: Trouble | None = None

    def meaning(self, chapter: Chapter) -> str:
        """Return what the message means, for a learner."""
        return self.text.format(namespace=chapter.namespace, kustomization=KUSTOMIZATION)


def _validate(chapter: Chapter) -> str:
    return chapter.at_work("sopslab validate")


# The first match counts, so special patterns come before general ones.
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
        f"the file is not encrypted to the key in {KEY_SECRET}",
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
    ),
    Cause(
        "server-silent",
        r"connection refused|no such host|no route to host|i/o timeout|deadline exceeded|EOF"
        r"|server misbehaving|connection reset",
        "the Git server does not answer Flux",
    ),
)


# Messages of the notification-controller about a Receiver.
ANSWERING = (
    Cause(
        "token-missing",
        r"(?i)unable to read token|secrets? \S+ not found|no 'token' key",
        "the Secret with the token that it shares with the Git server is not there",
    ),
)

# What a controller prints if a server that it was to ask gives no answer (Go's net and crypto).
REACHING = (
    Cause(
        "name-unknown",
        r"no such host|server misbehaving|lookup \S+.*i/o timeout",
        "its name is not found",
    ),
    Cause("refused", r"connection refused", "the connection is refused"),
    Cause("no-route", r"no route to host|network is unreachable", "there is no route to it"),
    Cause(
        "no-tls",
        r"first record does not look like a TLS|HTTP response to HTTPS",
        "it has no TLS",
    ),
    Cause("certificate", r"x509:|tls: ", "its certificate is not trusted"),
    Cause("late", r"timeout|deadline exceeded", "it does not answer in time"),
)

# The messages of Flux's objects, by their kind.
_OF_FLUX = {
    "GitRepository": READING,
    "Kustomization": APPLYING,
    "Receiver": ANSWERING,
}


def _asking(cause: str, pattern: str, trouble: Trouble) -> Cause:
    """Return a cause for which the cluster cannot even be asked."""
    return Cause(cause, pattern, trouble.value, trouble=trouble)


# Messages of the API server about an object that is looked at or applied, and of kubectl 1.36 and
# Go's network library if nothing answers.
SERVING = (
    Cause(
        "refused-by-admission",
        r"admission webhook .*denied|ValidatingAdmissionPolicy .*denied|violates PodSecurity"
        r"|failed calling webhook",
        "an admission policy of the cluster refuses it",
    ),
    # The only sentence that is the lab's own, and not kubectl's.
    _asking("kubectl-missing", r"^kubectl: .*not found$", Trouble.NO_KUBECTL),
    _asking(
        "kubeconfig-unusable",
        r'(?i)context ("[^"]*"|[^ ]+) does not exist|no context exists|error loading config file'
        r"|invalid configuration|no server found for cluster"
        r"|unable to (read|load) (client|root|certificate)|tls: failed to find any PEM",
        Trouble.BAD_KUBECONFIG,
    ),
    _asking(
        "certificate",
        # A handshake for which there is no answer in time says nothing of a certificate.
        r"(?i)x509|tls: ([^h]|handshake [^t])|gave HTTP response to HTTPS",
        Trouble.CERTIFICATE,
    ),
    # The last one is about a program that fetches a token, and has none.
    Cause(
        "api-unauthorized",
        r"(?i)unauthorized|must be logged in|getting credentials:",
        "the cluster refuses the credentials of the lab's kubeconfig",
        trouble=Trouble.DENIED,
    ),
    _asking(
        "api-refused",
        r"(?i)connection refused|was refused|no route to host|network is unreachable|no such host",
        Trouble.REFUSED,
    ),
    Cause(
        "api-silent",
        r"(?i)unable to connect to the server|i/o timeout|deadline exceeded|connection reset"
        r"|TLS handshake|server misbehaving|EOF|server is currently unable|too many requests",
        "the API server does not answer",
    ),
    Cause(
        "namespace-terminating",
        r"(?i)being terminated|NamespaceTerminating",
        "the namespace is being deleted",
    ),
    Cause("over-quota", r"exceeded quota", "a quota of the cluster has no room for it"),
    Cause(
        "forbidden",
        r"(?i)forbidden|not allowed",
        "the lab may not do that in this cluster",
        trouble=Trouble.DENIED,
    ),
    Cause(
        "object-missing",
        r"(?i)not ?found|no matches for kind|doesn't have a resource type",
        "what it belongs to is not there",
    ),
    Cause(
        "conflict",
        r"(?i)conflict|already exists|has been modified",
        "somebody else changed it at the same moment",
    ),
    Cause(
        "too-large",
        r"(?i)too large|too long|exceeds? the maximum|request entity",
        "it is larger than the API server takes",
    ),
    Cause(
        "invalid",
        r"(?i)invalid|field not declared|failed to create typed|unknown field|error validating"
        r"|error parsing|cannot unmarshal|immutable|BadRequest",
        "the API server refuses it as invalid",
    ),
    Cause(
        "api-broken",
        r"(?i)internal error|InternalError|etcdserver|no space left",
        "the API server has an error of its own",
    ),
)

# Messages of programs on the lab's machine: git, docker, kind, sops, age, the shell and its tools.
RUNNING = (
    Cause(
        "disk-full",
        r"(?i)no space left on device|disk quota exceeded",
        "the disk is full",
        lambda _chapter: "df -h",
    ),
    Cause("disk-read-only", r"(?i)read-only file ?system", "the disk is read-only"),
    Cause("too-many-files", r"(?i)too many open files|inotify", "too many files are open at once"),
    Cause(
        "memory",
        r"(?i)cannot allocate memory|out of memory|signal: killed|^killed$",
        "the machine has no memory left",
    ),
    Cause(
        "docker-silent",
        r"(?i)cannot connect to the docker daemon|docker daemon running|error during connect"
        r"|docker\.sock: connect: (connection refused|no such file)",
        "Docker does not answer",
    ),
    Cause(
        "docker-forbidden",
        r"(?i)permission denied.*docker|docker.*permission denied",
        "this account may not use Docker",
    ),
    Cause(
        "port-taken",
        r"(?i)port is already allocated|address already in use|failed to bind",
        "a port that it needs is taken by something else",
    ),
    Cause(
        "network-taken",
        r"(?i)pool overlaps|address pools? .*(subnet|exhausted)|non-overlapping ipv4|address pool",
        "Docker has no range of addresses left for its network",
    ),
    Cause(
        "image-missing",
        r"(?i)no such image|manifest unknown|pull access denied|unable to find image",
        "a container image is not there",
    ),
    Cause(
        "container-missing",
        r"(?i)no such (container|network)|container \S+ is not running",
        "a container that it needs does not run",
    ),
    Cause(
        "node-silent",
        r"(?i)failed to (init node|create cluster|join node|start)|could not find a log line"
        r"|failed to remove control plane taint|kubeadm",
        "the node did not start",
    ),
    Cause(
        "key-unfit",
        r"(?i)did not match any of the recipients|0 successful groups|sops data key"
        r"|getting data key|failed to load age identities|did not find keys in",
        "no key that it has opens the file",
    ),
    Cause(
        "value-changed",
        r"(?i)mac mismatch|message authentication failed|data integrity|decrypting tree",
        "the file was changed after it was encrypted",
    ),
    Cause(
        "no-rule",
        r"(?i)no matching creation rules|config file not found|no creation rules",
        "no creation rule names the file's recipients",
    ),
    Cause(
        "rules-unreadable",
        r"(?i)error (loading|reading|unmarshal\w*) config|sops\.yaml.*(yaml: |unmarshal|cannot)"
        r"|could not unmarshal config|invalid rules",
        ".sops.yaml cannot be read",
    ),
    Cause(
        "recipient-damaged",
        r"(?i)(bech32|malformed|unknown|invalid) recipient|failed to parse.{0,30}recipient"
        r"|as bech32-encoded",
        "a recipient is not a public key that age knows",
    ),
    Cause("not-encrypted", r"(?i)sops metadata not found", "the file is not encrypted"),
    Cause(
        "key-damaged",
        r"(?i)malformed secret|age-secret-key|parse.{0,30}identit|identit.{0,30}pars"
        r"|no identities found|unknown identity type|^age-keygen: error: ",
        "the age key cannot be read, or not written",
    ),
    Cause(
        "login-refused",
        r"(?i)authentication failed|could not read (username|password)|invalid credentials"
        r"|returned error: 40[13]|http 40[13]",
        "the Git server refuses the login",
    ),
    Cause(
        "push-refused",
        r"(?i)remote rejected|pre-receive hook declined|hook declined",
        "the Git server refused the push",
    ),
    Cause(
        "locked",
        r"(?i)\.lock'?: file exists|another git process",
        "the repository is locked: another git is at work in it, or one that was killed left its"
        " .lock file there",
    ),
    Cause(
        "overtaken",
        r"(?i)non-fast-forward|fetch first|stale info|cannot lock ref"
        r"|is at [0-9a-f]{7,} but expected",
        "somebody else changed the repository at the same moment",
    ),
    Cause(
        "repository-damaged",
        r"(?i)bad object|corrupt|not a valid object|invalid object"
        r"|unable to read (tree|sha1|[0-9a-f])|missing (blob|tree|commit)|loose object|bad tree"
        r"|hash mismatch",
        "the repository is damaged",
    ),
    Cause(
        "certificate",
        r"(?i)certificate (verify|verification|problem|has expired|signed by)|x509|ssl certificate"
        r"|unable to get local issuer",
        "the server's certificate is not trusted",
    ),
    Cause(
        "server-silent",
        r"(?i)could not resolve|failed to connect|couldn't connect|connection refused"
        r"|connection (reset|timed out)|no route to host|network is unreachable|i/o timeout"
        r"|unexpected disconnect|early eof|remote end hung up|returned error: 5\d\d",
        "the server does not answer",
    ),
    Cause(
        "repository-missing",
        r"(?i)repository '?.*'? not found|does not appear to be a git repository"
        r"|not a git repository|returned error: 404",
        "the repository is not there",
    ),
    Cause(
        "revision-missing",
        r"(?i)unknown revision|bad revision|not a valid ref|couldn't find remote ref"
        r"|needed a single revision|path '.*' (does not exist|exists on disk)|invalid reference",
        "the repository does not have the branch or file that is looked for",
    ),
    Cause(
        "program-missing",
        r"(?i)executable file not found|: not found$|command not found",
        "a program is not installed, or not on the PATH",
    ),
    Cause(
        "no-right",
        r"(?i)permission denied|operation not permitted|dubious ownership",
        "this account may not do that",
    ),
    Cause("exists", r"(?i)file exists|already exists", "there is something in its place"),
    Cause(
        "file-missing",
        r"(?i)no such file or directory|not a directory",
        "a file that it needs is not there",
    ),
    Cause("late", r"(?i)timed? ?out|deadline exceeded", "it took too long"),
)

# A line of a script's errors that begins with this text and a colon has one of our own sentences.
OURS = "sops-lab says"
_UNKNOWN = "the reason is not known here"
_SILENT = "nothing was reported yet"
_WORDLESS = "it ended without a word"
_REASONLESS = "no reason given"
LOGGED = "the log says more"
# The reasons of conditions are constants in Flux's source.
_REASON = re.compile(r"[A-Z][A-Za-z]{1,40}")


def cause_of(message: str, causes: tuple[Cause, ...]) -> Cause | None:
    """Return the first cause that recognises a message, None if no cause does."""
    return next((cause for cause in causes if re.search(cause.pattern, message)), None)


@dataclass(frozen=True)
class Failure:
    """Why Flux's last attempt with one of its objects failed. `reason` is Flux's own word for it,
    or that Flux gives none. `meaning` is the meaning of Flux's message, None if the message is not
    known."""

    reason: str
    meaning: Cause | None


def failure(kind: str, ready: Mapping[str, Any]) -> Failure | None:
    """Return why Flux's last attempt with an object failed, None if it did not.

    + kind: `GitRepository`, `Kustomization` or `Receiver`
    + ready: the condition Ready, empty if nothing was reported
    """
    if ready.get("status") != "False":
        return None
    reason = str(ready.get("reason") or "")
    return Failure(
        reason if _REASON.fullmatch(reason) else _REASONLESS,
        cause_of(str(ready.get("message") or ""), _OF_FLUX[kind]),
    )


def meaning(kind: str, ready: Mapping[str, Any], name: str, namespace: str) -> str:
    """Return what the condition Ready of an object says, in our own words.

    + kind: `GitRepository`, `Kustomization` or `Receiver`
    + ready: the condition, empty if nothing was reported
    + name: the object's name
    + namespace: the namespace of the objects that it applies
    """
    failed = failure(kind, ready)
    if failed is not None:
        if failed.meaning is None:
            named = "" if failed.reason == _REASONLESS else f" ({failed.reason})"
            return f"{_UNKNOWN}{named}"
        return failed.meaning.text.format(namespace=namespace, kustomization=name)
    match ready.get("status"):
        case "True":
            return "ready"
        case "Unknown":
            return "Flux is at work on it"
    return _SILENT


# How messages of kubectl, flux and the API server begin; those of git and kind begin otherwise.
_FOREIGN = re.compile(
    r"(?P<reason>^|: )\s*(Error from server|Error when |error (validating|parsing|when) "
    r"|error: (error |unable to (recognize|decode)|You must be logged in|the server |no matches)"
    r"|Unable to connect to the server|The connection to the server"
    r'|The \S+ ".*" is invalid|The request is invalid|[EWIF]\d{4} \d\d:\d\d:|✗ )'
    r"|Invalid value: |admission webhook|(is|are) invalid: |is forbidden: "
)


def said(line: str) -> str:
    """Return a line of a script's errors in the form in which it may be shown.

    A message of kubectl or flux is replaced by its meaning. Our own sentence stays as it is, even
    if such a message follows it in the line.
    """
    found = _FOREIGN.search(line)
    if found is None:
        return line
    ours = line[: found.end("reason")] if found["reason"] else ""
    cause = cause_of(line, SERVING)
    return f"{ours}the cluster refused something: {cause.text if cause else _UNKNOWN}"


def told(lines: Sequence[str]) -> list[str]:
    """Return the part of a script's errors that may be shown: the sentences of the script itself.

    If there are none, return one sentence with the meaning of the messages of other programs.
    Return nothing if there are no messages at all.
    """
    own = [line.partition(": ")[2] for line in lines if line.startswith(f"{OURS}: ")]
    if own or not any(map(str.strip, lines)):
        return [said(line) for line in own]
    return [f"a command failed: {of_programs(lines)}"]


def reason(lines: Sequence[str]) -> str:
    """Return in one sentence why a script failed, from its standard error."""
    own = [line.partition(": ")[2] for line in lines if line.startswith(f"{OURS}: ")]
    if own:
        return own[0]
    return of_programs(lines) if any(map(str.strip, lines)) else _WORDLESS


def of_programs(lines: Sequence[str]) -> str:
    """Return the meaning of error lines of programs on the lab's machine."""
    if any(map(_FOREIGN.search, lines)):
        return refused(lines)
    cause = cause_of("\n".join(lines), RUNNING)
    return cause.text if cause else f"{_UNKNOWN}; {LOGGED}"


def refused(lines: Sequence[str]) -> str:
    """Return the meaning of error lines of the API server, or of kubectl about the API server."""
    cause = cause_of("\n".join(lines), SERVING)
    return cause.text if cause else _UNKNOWN


def for_shell() -> dict[str, list[tuple[str, str]]]:
    """Return the tables for learners' scripts: pairs of a pattern and its meaning.

    Both are quoted for a shell. The patterns are extended regular expressions, to be matched
    without regard to case.
    """
    return {
        kind: [(shlex.quote(_extended(one.pattern)), shlex.quote(one.text)) for one in causes]
        for kind, causes in (("API", SERVING), ("Program", RUNNING))
    }


def _extended(pattern: str) -> str:
    for ours, theirs in (("(?i)", ""), (r"\S", "[^[:space:]]"), (r"\d", "[0-9]"), (r"\w", "[a-z]")):
        pattern = pattern.replace(ours, theirs)
    return pattern
