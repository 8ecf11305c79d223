"""One configuration tree: where a rig listens, what it drives, where it writes; checked before anything runs.

Whatever is wrong in a file becomes a `ConfigError` of one line: the file, the key, what is wrong, what to do.
"""

from multirig.config.collect import CollectRules, parse_rate
from multirig.config.conductor import (
    ClockRules,
    ConductorConfig,
    ConsoleRules,
    conductor_config_schema,
    load_collect_rules,
    load_conductor_config,
)
from multirig.config.duration import Duration, check_length, parse_duration
from multirig.config.expect import Expect
from multirig.config.explaining import explain, suggestion
from multirig.config.reading import OwnLoader, SharedLoader, YamlLoader, parse_pairs, parse_yaml, read_text
from multirig.config.rig import (
    AdapterConfig,
    Limits,
    LostConductor,
    Name,
    RigConfig,
    SyncPulses,
    TakeOver,
    check_name,
    load_rig_config,
    parse_rig_config,
    rig_config_schema,
)
from multirig.config.uri import DEFAULT_PORT, Uri

__all__ = [
    "DEFAULT_PORT",
    "AdapterConfig",
    "ClockRules",
    "CollectRules",
    "ConductorConfig",
    "ConsoleRules",
    "Duration",
    "Expect",
    "Limits",
    "LostConductor",
    "Name",
    "OwnLoader",
    "RigConfig",
    "SharedLoader",
    "SyncPulses",
    "TakeOver",
    "Uri",
    "YamlLoader",
    "check_length",
    "check_name",
    "conductor_config_schema",
    "explain",
    "load_collect_rules",
    "load_conductor_config",
    "load_rig_config",
    "parse_duration",
    "parse_pairs",
    "parse_rate",
    "parse_rig_config",
    "parse_yaml",
    "read_text",
    "rig_config_schema",
    "suggestion",
]
