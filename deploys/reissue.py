"""Replace the access of single learners: password, certificate and kubeconfig. Their old access is
refused afterwards. The data `learners` is the list of their ids.

pyinfra inventories/local.py deploys/reissue.py --data 'learners=["ada"]'
"""

from sopslab.run.session import begin
from tasks.flux import provide_platform
from tasks.git import serve_in_cluster
from tasks.reissue import prove_access, replace_access, report_access
from tasks.roster import enrol_class
from tasks.takeover import refuse_other

settings = begin()

refuse_other(settings)
enrol_class(settings)
replace_access(settings)
serve_in_cluster(settings)
provide_platform(settings)
prove_access(settings)
report_access(settings)
