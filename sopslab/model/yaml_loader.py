"""The loader for YAML: libyaml's, which does the same as PyYAML's own, ten times as fast."""

from __future__ import annotations

from typing import Any

import yaml

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
