"""Fill the store with every tool and image of a lab, and start nothing.

pyinfra inventories/local.py deploys/fetch.py
"""

from sopslab.run.session import begin
from tasks.artifacts import provide_artifacts
from tasks.host import prepare_host

settings = begin()

prepare_host(settings)
provide_artifacts(settings)
