"""The adapters that come with multirig."""
