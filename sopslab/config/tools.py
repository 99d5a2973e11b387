"""Where the programs of the lab's store are found by what runs in a user's shell."""

from __future__ import annotations

import contextlib
import os
import shutil

from sopslab.errors import LabError


def find_tools(*names: str) -> None:
    """Put the programs of the lab's store on this process's PATH, if one of these is not on it.

    Without a lab whose settings are valid, PATH stays as it is: what needs a program says so.
    """
    if all(map(shutil.which, names)):
        return
    # Settings take longer to import than a commit hook should take.
    from sopslab.config.inputs import local_settings

    with contextlib.suppress(LabError):
        os.environ["PATH"] = os.pathsep.join([local_settings().bin_dir, os.environ["PATH"]])
