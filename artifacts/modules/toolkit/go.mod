module sops-lab/artifacts/toolkit

go 1.26.0

require (
	github.com/fluxcd/flux2/v2 v2.9.3
	github.com/fluxcd/kustomize-controller v1.9.4
	github.com/fluxcd/notification-controller v1.9.2
	github.com/fluxcd/source-controller v1.9.3
	github.com/getsops/sops/v3 v3.13.3
)

// The replaces of the modules above: Go honours them in the main module only.
replace (
	github.com/fluxcd/kustomize-controller/api => github.com/fluxcd/kustomize-controller/api v1.9.4
	github.com/fluxcd/notification-controller/api => github.com/fluxcd/notification-controller/api v1.9.2
	github.com/fluxcd/source-controller/api => github.com/fluxcd/source-controller/api v1.9.3
	github.com/opencontainers/go-digest => github.com/opencontainers/go-digest v1.0.1-0.20220411205349-bde1400a84be
	gopkg.in/yaml.v3 => gopkg.in/yaml.v3 v3.0.1
	sigs.k8s.io/kustomize/api => sigs.k8s.io/kustomize/api v0.21.1
	sigs.k8s.io/kustomize/kyaml => sigs.k8s.io/kustomize/kyaml v0.21.1
)
