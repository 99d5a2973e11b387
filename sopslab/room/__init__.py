"""A room of machines: what the controller asks of the others over SSH, and delivers to them."""
