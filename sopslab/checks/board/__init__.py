"""How far each learner of a class is, by the judgements of `sopslab.checks.verification`. Pure."""
