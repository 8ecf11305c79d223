"""Both wires as pure values: no I/O, no clock, no random numbers."""
