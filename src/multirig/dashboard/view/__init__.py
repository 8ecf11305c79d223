"""What the console shows, made from what is known: pure, no page and no clock in it."""
