"""What can be known of a recorded file without asking the program that wrote it."""
