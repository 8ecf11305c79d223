"""Rigs and the console started at log-on, by what each system has for that."""
