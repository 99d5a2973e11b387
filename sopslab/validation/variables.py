"""Find the values of the variables that Flux substitutes after a build.

Without a cluster, `flux build` takes no variables from ConfigMaps and Secrets. So these are looked
up in the tree here. A variable whose value cannot be known keeps its `${name}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sopslab.validation.marks import Marks
from sopslab.validation.objects import Object, Reader, at
from sopslab.validation.roots import Root
from sopslab.validation.tree import is_yaml

# A variable without a default: Flux uses a default if nothing else sets the variable.
_NAMED = re.compile(rb"\$\{\s*([A-Za-z_]\w*)(?!\w|\s*:?[-=])")
_SECTIONS = {"ConfigMap": ("data",), "Secret": ("data", "stringData")}


class Variables:
    """The values that a tree has for the variables of its Flux Kustomizations."""

    def __init__(self, reader: Reader, marks: Marks) -> None:
        self._reader, self._marks = reader, marks
        self._found: dict[str, list[Object]] = {}

    def of(self, root: Root, files: Iterable[str]) -> dict[str, str]:
        """Return the variables of a root by name; a value that cannot be known is a mark.

        + files: what the root is built from
        """
        post = root.spec.get("postBuild")
        post = post if isinstance(post, dict) else {}
        values: dict[str, str] = {}
        sources = post.get("substituteFrom")
        complete = True
        for source in sources if isinstance(sources, list) else ():
            found = self._source(root, source)
            if found is None:
                complete = False
            else:
                values |= found
        if not complete:
            for name in self._named(files):
                values.setdefault(name, self._marks.variable(name))
        own = post.get("substitute")
        values |= {
            str(key): value if isinstance(value, str) else ""
            for key, value in (own.items() if isinstance(own, dict) else ())
        }
        return values

    def _source(self, root: Root, source: Any) -> dict[str, str] | None:
        """Return the variables of a ConfigMap or Secret, None if it is not in the tree."""
        kind, name = at(source, "kind"), at(source, "name")
        if kind not in _SECTIONS or not isinstance(name, str) or not name:
            return None
        namespace = root.written.namespace if root.written is not None else ""
        found = [
            one
            for one in self._objects(name)
            # Without a namespace, both get it from the kustomization that lists them.
            if one.kind == kind and (not namespace or one.namespace in ("", namespace))
        ]
        values: dict[str, str] = {}
        for one in found:
            manifest = one.manifest
            for section in _SECTIONS[kind]:
                content = manifest.get(section)
                for key, value in content.items() if isinstance(content, dict) else ():
                    known = value if kind == "ConfigMap" and isinstance(value, str) else None
                    if known is None or values.get(key, known) != known:
                        known = self._marks.variable(key)
                    values[key] = known
        return values if found else None

    def _objects(self, name: str) -> list[Object]:
        """Return all objects with a name, including their parts in patches."""
        if name not in self._found:
            tree = self._reader.tree
            self._found[name] = [
                one
                for path in sorted(filter(is_yaml, tree.files))
                if name.encode() in (tree.read(path) or b"")
                for one in self._reader.file(path).objects
                if one.name == name
            ]
        return self._found[name]

    def _named(self, files: Iterable[str]) -> Iterator[str]:
        for path in files:
            for match in _NAMED.finditer(self._reader.tree.read(path) or b""):
                yield match[1].decode("ascii")


def may_be_patched(name: str, texts: Iterable[Mapping[str, Any] | str]) -> bool:
    """True if a patch may add a variable: it has the name as a key, not only in `${name}`."""
    word = re.compile(rf"/data/{re.escape(name)}\b|(?<![\w${{]){re.escape(name)}\s*:")
    return any(word.search(str(text)) for text in texts)
