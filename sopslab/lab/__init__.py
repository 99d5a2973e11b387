"""What is looked at on the lab's machine; nothing is judged here."""
