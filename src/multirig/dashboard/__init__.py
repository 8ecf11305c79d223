"""The web console: the lab at a glance, and a session from one button."""
