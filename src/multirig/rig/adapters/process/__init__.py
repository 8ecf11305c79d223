"""Any program as a rig: started, watched by its output, asked to stop, and ended for certain."""

from multirig.rig.adapters.process.adapter import Process

__all__ = ["Process"]
