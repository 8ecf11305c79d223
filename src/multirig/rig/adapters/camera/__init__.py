"""Records cameras with PyAV: devices, network streams, files and FFmpeg's test pattern."""

from multirig.errors import ConfigError

try:
    from multirig.rig.adapters.camera.adapter import Camera
    from multirig.rig.adapters.camera.options import CameraOptions
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "av":
        raise
    raise ConfigError(
        "the camera adapter needs PyAV: pip install 'multirig[camera]', or uv tool install 'multirig[camera]'"
    ) from error

__all__ = ["Camera", "CameraOptions"]
