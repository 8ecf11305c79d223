"""Sessions that were recorded, read back in Python: which there are, and what is in one of them."""
