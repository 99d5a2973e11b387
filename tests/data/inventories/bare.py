"""A bare machine that only answers, with the settings of the local lab."""

from pyinfra.connectors.base import DataMeta
from pyinfra.connectors.fake import FakeConnector

from sopslab.config.inputs import local_data, local_settings
from tests.machines import bare as bare_machine

# Not as data of the host: there they would be settings that no lab knows.
FakeConnector.data_meta["fake_responses"] = DataMeta("", bare_machine(local_settings()).patterns())

bare = [("@fake/seat", local_data())]
