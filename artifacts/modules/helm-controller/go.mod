module sops-lab/artifacts/helm-controller

go 1.26.0

require github.com/fluxcd/helm-controller v1.6.3
