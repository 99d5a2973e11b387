"""What Flux says when something goes wrong, what that means, and what helps.

The texts are those of Flux 2.9 (kustomize-controller 1.9, source-controller 1.9). A message is
recognised, never repeated: an API server that refuses an object quotes what it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sopslab.layout import KEY_SECRET, KUSTOMIZATION
from sopslab.verification.chapter import UP, Chapter


@dataclass(frozen=True)
class Cause:
    """One way to fail: its id, how its message is recognised, what it means, and what helps.

    In what it means, `{namespace}` stands for the learner's.
    """

    id: str
    pattern: str
    text: str
    fix: Callable[[Chapter], str]

    def meaning(self, chapter: Chapter) -> str:
        """Return what it means for a learner."""
        return self.text.format(namespace=chapter.namespace)


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
        f"the file lost its MAC, or the Kustomization {KUSTOMIZATION} its spec.decryption",
        lambda chapter: chapter.encrypt_again,
    ),
    Cause(
        "decryption-off",
        r"\.sops: field not declared in schema",
        f"the Kustomization {KUSTOMIZATION} has no spec.decryption",
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
        f"the folder that the Kustomization {KUSTOMIZATION} names is not in the repository",
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
        f"the Kustomization {KUSTOMIZATION} refers to another namespace, which is locked down",
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


def cause_of(message: str, causes: tuple[Cause, ...]) -> Cause | None:
    """Return what a message of Flux means, None for one that is not known."""
    return next((cause for cause in causes if re.search(cause.pattern, message)), None)
