"""A room of machines: what one machine asks of others over SSH, and delivers to them."""
