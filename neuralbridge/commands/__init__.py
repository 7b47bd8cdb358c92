"""What each command does. `cli.py` reads what was typed and calls these."""
