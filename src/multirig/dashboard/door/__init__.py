"""The door of the console: its address, who may come in, and pictures answered ahead of the pages."""
