"""pyinfra's side: facts, operations, and the one place that makes commands of them."""
