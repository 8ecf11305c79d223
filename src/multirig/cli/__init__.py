"""The command line: a face; it asks, shows and holds no rule."""
