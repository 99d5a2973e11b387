"""The lab, from a bare machine to a secret that Flux decrypted: one call per step, in order.

pyinfra inventories/local.py deploy.py
"""

from sopslab.run.session import begin_lab
from tasks.artifacts import provide_artifacts
from tasks.canary import conclude_class, prove_canaries
from tasks.cluster import begin_cluster, check_cluster, probe_cluster, provide_cluster
from tasks.flux import bootstrap_flux, provide_platform
from tasks.git import provide_git, serve_in_cluster
from tasks.host import check_host, prepare_host
from tasks.keys import provide_keys
from tasks.learners import provide_learners
from tasks.roster import enrol_class
from tasks.takeover import take_over

settings = begin_lab()

check_host(settings)
prepare_host(settings)
take_over(settings)
provide_artifacts(settings)
check_cluster(settings)
begin_cluster(settings)
enrol_class(settings)
provide_git(settings)
provide_keys(settings)
serve_in_cluster(settings)
probe_cluster(settings)
provide_learners(settings)
provide_platform(settings)
provide_cluster(settings)
bootstrap_flux(settings)
prove_canaries(settings)
conclude_class(settings)
