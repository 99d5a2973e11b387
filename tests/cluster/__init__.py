"""The real thing: a kind cluster, Flux and a Git server of the tests' own."""
