"""Moves whole messages between addresses, and promises nothing."""
