"""Push to the lab's registry what a cluster pulls from there.

pyinfra inventories/local.py deploys/push.py
"""

from sopslab.run.session import begin
from tasks.artifacts import provide_artifacts
from tasks.host import prepare_host
from tasks.registry import push_images

settings = begin()

prepare_host(settings)
provide_artifacts(settings)
push_images(settings)
