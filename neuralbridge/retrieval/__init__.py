"""The user's documents: read, cut into passages, found again."""
