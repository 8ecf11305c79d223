"""What is known of a session: its journal, read and replayed once, and all that is drawn from it."""
