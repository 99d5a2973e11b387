"""Choose what learners log in to an existing cluster with, by what the cluster issues."""

from __future__ import annotations

import json

from sopslab.config.places import Lab
from sopslab.lab.act import client_certificates
from sopslab.lab.observe.ownership import cluster_id
from sopslab.lab.tools import files
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.access import ChosenIssuer, Issuer
from sopslab.model.wire import encode


def choose(lab: Lab, within: int) -> None:
    """Find out whether the lab's cluster signs client certificates, and record what learners are
    given: certificates if it does, else tokens.

    A managed cluster may approve a request and never sign it (EKS), or sign a certificate that it
    does not accept. Raises Undecided where the cluster does not answer.

    + within: how many seconds the cluster has to sign
    """
    files.private_folder(lab.class_dir)
    signs = client_certificates.works(lab, within)
    # Asked last: this raises Undecided if the cluster fell silent meanwhile, which is not a
    # refusal.
    cluster = cluster_id(Kubectl(lab))
    chosen = ChosenIssuer(cluster, Issuer.CERTIFICATES if signs else Issuer.TOKENS)
    files.write(lab.issuer_file, json.dumps(encode(chosen)))
