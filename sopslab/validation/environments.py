"""Find which folders below `flux/secrets` are environments, and which namespace each has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sopslab.layout import ENVIRONMENT, NAMESPACE, SECRETS
from sopslab.validation.objects import Reader
from sopslab.validation.overlays import environment_of
from sopslab.validation.reconciliation import Reconciled
from sopslab.validation.tree import is_below, is_yaml

# The usual names of environments. Other folders may be groups of secrets, for example by owner.
_USUAL = re.compile(
    r"(?:.*[-_.])?(?:dev|devel|develop|development|tests?|testing|qa|e2e|ci|int|integration|stage"
    r"|staging|stg|uat|acc|acceptance|preprod|preview|prod|prd|production|live|demo|sandbox)"
    r"\d*(?:[-_.].*)?"
)


def namespaces(reader: Reader, reconciled: Sequence[Reconciled]) -> Mapping[str, str | None]:
    """Return the namespace of each folder below `flux/secrets`.

    None stands for a group of secrets, each of which names its own namespace.
    """
    by_folder: dict[str, list[str]] = {}
    for path in sorted(reader.tree.files):
        if environment_of(path) and is_yaml(path):
            by_folder.setdefault(environment_of(path), []).append(path)
    for one in reconciled:
        if environment_of(f"{one.path}/"):
            by_folder.setdefault(environment_of(f"{one.path}/"), [])
    return {name: _of(name, paths, reader, reconciled) for name, paths in by_folder.items()}


def _of(
    name: str, paths: Sequence[str], reader: Reader, reconciled: Sequence[Reconciled]
) -> str | None:
    if name == ENVIRONMENT:
        return NAMESPACE
    targets = {
        one.written.text("spec", "targetNamespace")
        for one in reconciled
        if is_below(one.path, f"{SECRETS}/{name}")
    } - {""}
    if targets:
        return targets.pop() if len(targets) == 1 else None
    told = any(one.namespace == name for one in reader.objects(list(paths)))
    return name if told or _USUAL.fullmatch(name) else None
