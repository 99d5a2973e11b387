"""What history, repositories and platform say of an incident."""
