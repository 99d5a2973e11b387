"""One lab on this machine. `SOPSLAB_FILE` may name a YAML file with settings of its own."""

import os

from pyinfra.api.exceptions import PyinfraError

from sopslab.errors import InputError
from sopslab.labfile import read_lab_file

try:
    local = [("@local", read_lab_file(os.environ.get("SOPSLAB_FILE")))]
except InputError as error:
    # In pyinfra's own terms it is one sentence, and no traceback.
    raise PyinfraError(str(error)) from None
