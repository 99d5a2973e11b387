"""Put records into the platform repository: incidents, and the list of credentials.

pyinfra inventories/local.py deploys/record.py \
    --data 'records={"docs/credentials.yaml": "credentials: []"}'
"""

from sopslab.run.session import begin
from tasks.incidents import keep_records
from tasks.takeover import refuse_other

settings = begin()

refuse_other(settings)
keep_records(settings)
