"""How far each learner of a class is, by the rules of `verify` and `doctor`. Pure."""
