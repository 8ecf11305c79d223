"""A PC becomes a rig: what it could record, what is sensible for it, and the file that says so."""
