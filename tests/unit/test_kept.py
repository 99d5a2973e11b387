"""What was seen of a host is kept until something is about to change, for that host alone."""

from __future__ import annotations

from typing import Any

from pyinfra.context import ctx_host

from sopslab.provision.facts.host import IsRoot, RecordedValue
from sopslab.provision.kept import forget, look, recall


class Host:
    """A host that counts how often it was looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def get_fact(self, fact: Any, **arguments: Any) -> int:
        self.looks += 1
        return self.looks


def test_a_fact_is_looked_at_once_until_it_is_forgotten() -> None:
    with ctx_host.use(Host()):
        assert [recall(IsRoot), recall(IsRoot)] == [1, 1]
        forget(IsRoot)
        assert [recall(IsRoot), look(IsRoot), recall(IsRoot)] == [2, 3, 3]


def test_each_fact_and_each_host_is_kept_by_itself() -> None:
    one, other = Host(), Host()
    with ctx_host.use(one):
        assert [recall(IsRoot), recall(RecordedValue, path="/x"), recall(IsRoot)] == [1, 2, 1]
    with ctx_host.use(other):
        forget(IsRoot)
        assert recall(IsRoot) == 1
    with ctx_host.use(one):
        assert recall(IsRoot) == 1
