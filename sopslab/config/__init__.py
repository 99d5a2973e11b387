"""What a lab is told: settings, roster, names; and who is enrolled."""
