"""End the access of learners whose time is over, and archive seats whose days of grace are over.

pyinfra inventories/local.py deploys/expire.py
"""

from sopslab.run.session import begin
from tasks.canary import conclude_class
from tasks.expiry import end_access
from tasks.flux import provide_platform
from tasks.git import serve_in_cluster
from tasks.roster import enrol_class
from tasks.takeover import refuse_other

settings = begin()

refuse_other(settings)
enrol_class(settings)
end_access(settings)
serve_in_cluster(settings)
provide_platform(settings)
conclude_class(settings)
