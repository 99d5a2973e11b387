"""The defaults of all settings in JSON, as the environment of this process makes them.

python -m sopslab.cli.reference_defaults
"""

from __future__ import annotations

import runpy

from sopslab.cli.terminal import echo_json
from sopslab.config.defaults import DEFAULTS
from sopslab.config.settings import Settings

if __name__ == "__main__":
    found = runpy.run_path(str(DEFAULTS))
    echo_json({name: found[name] for name in Settings.model_fields})
