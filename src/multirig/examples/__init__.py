"""Small programs that a `process` rig can run."""
