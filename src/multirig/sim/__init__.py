"""A false lab in virtual time: real nodes, a bad network, PCs that die; all from a seed."""
