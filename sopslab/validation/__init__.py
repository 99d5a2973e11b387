"""What Flux would make of a repository: built as Flux builds it, and checked before it is pushed.

Everything is decided offline, from the files of the repository and the pinned schemas of the lab,
by Flux's own `flux build`. No value of a Secret is ever shown. What is encrypted is replaced by
marks before anything is written or handed to another program, and what Flux builds is laid out in
a temporary folder that only its owner can read.
"""
