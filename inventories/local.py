"""One lab on this machine. `SOPSLAB_FILE` may name a YAML file with settings of its own."""

from pyinfra.api.exceptions import PyinfraError

from sopslab.config.inputs import local_data
from sopslab.errors import InputError

try:
    local = [("@local", local_data())]
except InputError as error:
    # pyinfra shows its own exception as one sentence, without a traceback.
    raise PyinfraError(str(error)) from None
