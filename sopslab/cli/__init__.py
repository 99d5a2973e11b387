"""What a person types and sees: the command `sopslab`, a module for each verb."""
