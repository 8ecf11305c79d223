"""A task's own part of the experiment description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError
from multirig.ibl import description

BPOD = {"label": "bpod", "software": "pybpod"}
PLAIN = {"label": "multirig", "software": "multirig"}
"""What keeps a task's time: a Bpod where the hardware settings name one, else this program's clock."""


def describe_task(
    task_protocol: str,
    task_collection: str,
    procedures: Sequence[str] | None = None,
    projects: Sequence[str] | None = None,
    hardware_settings: Mapping[str, Any] | None = None,
    stub: str | Path | None = None,
    extractors: Sequence[str] | None = None,
    camera_config: str | None = None,
) -> dict[str, Any]:
    """Return a description with the task, its devices, projects and procedures; a stub comes first.

    Parameters
    ----------
    task_protocol, task_collection : str
        For example ``spontaneous`` and ``raw_task_data_00``.
    procedures, projects : sequence of str, optional
        Names as Alyx knows them.
    hardware_settings : mapping, optional
        ``device_cameras``, ``device_microphone`` and ``MAIN_SYNC`` of it are described.
    stub : str or pathlib.Path, optional
        A description to begin with.
    extractors : sequence of str, optional
        Names of the task's extractors.
    camera_config : str, optional
        Which of several camera configurations; the first one if it is not said.

    Raises
    ------
    ConfigError
        The stub is missing or contradicts the hardware settings.
    """
    hardware = hardware_settings or {}
    clock = BPOD if hardware.get("device_bpod") else PLAIN
    whole: dict[str, Any] = description.read(stub) if stub else {}
    if extractors is not None and (isinstance(extractors, str) or not isinstance(extractors, Sequence)):
        raise ConfigError(f"extractors are {extractors!r:.40}: give a list of names")
    for name, value in (("procedures", procedures), ("projects", projects)):
        if isinstance(value, str):
            raise ConfigError(f"{name} are {value!r:.40}: give a list of names")
    task: dict[str, Any] = {"collection": task_collection, "sync_label": clock["label"]}
    if extractors:
        task["extractors"] = list(extractors)
    devices: dict[str, Any] = {}
    if cameras := _cameras(hardware.get("device_cameras"), camera_config):
        devices["cameras"] = cameras
    if hardware.get("device_microphone"):
        devices["microphone"] = {"microphone": {"collection": task_collection, "sync_label": "audio"}}
    part: dict[str, Any] = {
        "devices": devices,
        "procedures": list(procedures or []),
        "projects": list(projects or []),
        "tasks": [{task_protocol: task}],
    }
    if hardware.get("MAIN_SYNC") and not whole.get("sync"):
        part["sync"] = {
            clock["label"]: {
                "collection": task_collection,
                "acquisition_software": clock["software"],
                "extension": ".jsonable",
            }
        }
    sources: description.Sources = {(key,): str(stub) for key in whole}
    return description.merge(whole, part, description.HERE, sources)


def _cameras(settings: Any, chosen: str | None) -> dict[str, Any]:
    """Return the cameras of the hardware settings, as they are or in named configurations."""
    if not isinstance(settings, Mapping) or not settings:
        return {}
    if any(_is_configuration(each) for each in settings.values()):
        name = chosen if chosen is not None else next(iter(settings))
        if name not in settings:
            raise ConfigError(
                f"device_cameras has no configuration {name!r}: give one of {', '.join(map(str, settings))}"
            )
        settings = {
            label: each for label, each in (settings[name] or {}).items() if label != "BONSAI_WORKFLOW"
        }
    return {
        label: {
            "collection": "raw_video_data",
            "sync_label": each.get("SYNC_LABEL", "audio") if isinstance(each, Mapping) else "audio",
        }
        for label, each in settings.items()
        if each
    }


def _is_configuration(value: Any) -> bool:
    """Whether it holds cameras and is none itself."""
    return isinstance(value, Mapping) and any(
        isinstance(each, Mapping) for label, each in value.items() if label != "BONSAI_WORKFLOW"
    )
