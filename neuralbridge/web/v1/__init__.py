"""OpenAI's API at /v1."""
