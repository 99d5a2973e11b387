"""The verbs of `sopslab`, a module for each; `_shared` has what they have in common."""
