"""``iblutil.io.net.app`` by its names."""

from multirig.ibl.net.echo import EchoProtocol
from multirig.ibl.net.services import Services

__all__ = ["EchoProtocol", "Services"]
