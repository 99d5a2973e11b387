"""sops-lab: the secrets lab of a GitOps course, provisioned declaratively on pyinfra."""

__version__ = "0.1.0"
