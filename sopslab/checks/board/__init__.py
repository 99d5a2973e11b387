"""How far each learner of a class is."""
