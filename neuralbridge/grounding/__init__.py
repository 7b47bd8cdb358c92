"""Checks what an answer says against the passages it was given. Pure: texts and vectors in, verdicts out."""
