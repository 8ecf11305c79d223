"""A task that takes rigs along, whole: our mixin over our base session."""

from __future__ import annotations

from multirig.ibl.base_session import BaseSession
from multirig.ibl.network_mixin import NetworkMixin


class NetworkSession(NetworkMixin, BaseSession):
    """A task with rigs, over our own `BaseSession`; see `NetworkMixin` for the parameters."""
