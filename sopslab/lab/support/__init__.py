"""`sopslab support`: what somebody who helps needs to see, in one file without a secret in it.

`collecting` asks the machine, the cluster and Git; `secrets` knows every secret of the lab, and
`redaction`, which is pure, takes them out of whatever was collected; `archive` writes the file.
What could not be asked is named in the report; if it is not known what is secret, there is no
report.
"""
