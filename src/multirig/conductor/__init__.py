"""What leads a session, on one PC."""
