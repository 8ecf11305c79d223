"""Tasks to run and to copy: ``multirig run multirig.examples.tasks.spontaneous --subject SP_01``."""
