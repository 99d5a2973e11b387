"""Facts about the objects of the lab's cluster, read with the lab's own kubectl and kubeconfig.

A cluster that is not there yet, or does not answer, has none of what was asked for, so that a dry
run on a bare machine predicts the changes. An operation that meets a dead cluster fails.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.lab.observe import existing, host_secrets, manifests
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact


class ManifestDrift(LabFact[list[str]]):
    """
    Returns the objects in which the cluster differs from the manifests in a file of the host.

    .. code:: python

        ["apps.v1.Deployment.flux-system.kustomize-controller"]

    `["absent"]` stands for a cluster that lacks a namespace or a kind that the manifests need.
    """

    look = manifests.drift

    @staticmethod
    @override
    def default() -> list[str]:
        return [manifests.ABSENT]

    @override
    def command(self, settings: Settings, path: str) -> StringCommand:
        return looking(settings, manifests.drift, path=path)


class SecretMatches(LabFact[bool]):
    """
    Returns whether a Secret of the cluster has exactly the entries that files of the host hold, and
    the labels. Values are compared where they are read, and nothing of them is printed.
    """

    look = host_secrets.matches

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(
        self,
        settings: Settings,
        namespace: str,
        secret: str,
        entries: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> StringCommand:
        return looking(
            settings,
            host_secrets.matches,
            namespace=namespace,
            secret=secret,
            entries=dict(entries),
            labels=dict(labels),
        )


class KubeconfigMatches(LabFact[bool]):
    """
    Returns whether the lab's own kubeconfig is the context that the settings name, as it is in the
    user's file now.
    """

    look = existing.has_context

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, existing.has_context, kubeconfig=settings.kubeconfig or "")
