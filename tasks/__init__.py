"""The steps of a lab, one module each, in the order in which `deploy.py` takes them."""
