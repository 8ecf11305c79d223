"""What a rig and a session may do next: tables, and machines that consult them."""
