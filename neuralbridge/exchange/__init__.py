"""Conversations in the forms of other programs, and in one of our own."""
