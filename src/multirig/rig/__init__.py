"""What runs on each acquisition PC."""
