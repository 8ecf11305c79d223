"""Sessions that were recorded, written in the formats of others."""
