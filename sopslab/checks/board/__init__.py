"""How far each learner of a class is, by the rules that `verify` and `doctor` go by. Pure."""
