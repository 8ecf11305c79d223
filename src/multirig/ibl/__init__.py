"""IBL's face: ``iblrig.base_tasks``, ``iblrig.net`` and ``iblutil.io.net`` by their names, on multirig's core."""
