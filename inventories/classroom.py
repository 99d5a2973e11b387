"""A class on one lab on this machine: everybody on the roster that `SOPSLAB_ROSTER` names, by
default the example in rosters/. `SOPSLAB_FILE` may name a YAML file with settings of its own."""

from pyinfra.api.exceptions import PyinfraError

from sopslab.config.inputs import class_data
from sopslab.errors import InputError

try:
    classroom = [("@local", class_data())]
except InputError as error:
    # pyinfra shows its own exception as one sentence, without a traceback.
    raise PyinfraError(str(error)) from None
