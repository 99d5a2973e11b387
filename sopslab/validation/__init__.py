"""What Flux would make of a repository: built as Flux builds it, and checked before it is pushed.

Everything is decided offline, from the files of the repository and the pinned schemas of the lab.
No value of a Secret is ever shown, written or handed to another program, but for `kubectl
kustomize`, which reads the files themselves.
"""
