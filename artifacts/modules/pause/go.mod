module sops-lab/artifacts/pause

go 1.26.0
