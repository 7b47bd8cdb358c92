"""What is kept: conversations and their messages, in SQLite."""
