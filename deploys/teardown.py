"""Take the lab down, in the opposite order of `deploy.py`. What cannot be made anew stays, unless
purged.

pyinfra inventories/local.py deploys/teardown.py
"""

from sopslab.run.session import begin
from tasks.down import purge_lab, release_host, remove_cluster, remove_git

settings = begin()

remove_cluster(settings)
remove_git(settings)
release_host(settings)
if settings.purge:
    purge_lab(settings)
