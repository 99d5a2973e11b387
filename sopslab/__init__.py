"""sops-lab: the secrets lab of a GitOps course, provisioned declaratively on pyinfra."""
