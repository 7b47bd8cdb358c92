"""Model files: which are known, which are present, and how to bring those that are missing."""
