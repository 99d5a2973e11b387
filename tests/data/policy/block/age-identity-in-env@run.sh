export SOPS_AGE_KEY={{ age }}
