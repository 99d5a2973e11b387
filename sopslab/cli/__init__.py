"""The command `sopslab`: what a person types and sees, a module for each verb."""
