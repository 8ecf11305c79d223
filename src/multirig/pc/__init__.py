"""What a program can tell of the PC on which it runs, and what it asks of it."""
