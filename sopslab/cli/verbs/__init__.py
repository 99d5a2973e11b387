"""The verbs of `sopslab`, one module each; `_shared` is what they have in common."""
