import sys
from typing import Any

import pytest

from multirig.config import AdapterConfig
from multirig.errors import ConfigError
from multirig.rig.adapter import Adapter
from multirig.rig.loading import adapter_names, build_adapter

PHOTOMETRY = """
from dataclasses import dataclass
from multirig.rig.adapter import Adapter

@dataclass(kw_only=True)
class Photometry(Adapter):
    port: str
    rate: float = 100.0
    collection: str = "raw_photometry_data"

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package of one module that offers an adapter, as pip would."""
    installed = []

    def install(name, target, code, *, package=None, extras=()):
        package = package or f"multirig_test_{name}"
        module = target.partition(":")[0]
        site = tmp_path / package
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(code)
        (info / "entry_points.txt").write_text(f"[multirig.adapters]\n{name} = {target}\n")
        provided = "".join(f"Provides-Extra: {extra}\n" for extra in extras)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n{provided}")
        monkeypatch.syspath_prepend(site)
        installed.append(module)

    yield install
    for module in installed:
        sys.modules.pop(module, None)


def refusal(options):
    with pytest.raises(ConfigError) as caught:
        build_adapter(AdapterConfig(**options), "optics")
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith("rig optics: adapter")
    return message


def test_the_built_in_adapters_are_offered():
    assert {"camera", "fake", "process"} <= set(adapter_names())


def test_an_installed_adapter_is_built_with_its_options(install):
    install("photometry", "photo_a:Photometry", PHOTOMETRY)
    adapter = build_adapter(
        AdapterConfig.model_validate({"type": "photometry", "port": "COM3", "rate": 50}), "optics"
    )
    assert isinstance(adapter, Adapter)
    built: Any = adapter
    assert (built.port, built.rate, built.collection) == ("COM3", 50.0, "raw_photometry_data")
    assert "photometry" in adapter_names()


def test_an_unknown_adapter_is_refused_with_those_that_exist(install):
    install("photometry", "photo_b:Photometry", PHOTOMETRY)
    message = refusal({"type": "fotometry"})
    assert "adapter.type: there is no adapter 'fotometry'" in message
    assert "did you mean 'photometry'?" in message
    assert "camera" in message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "adapter.port is missing: add it"),
        ({"prot": "COM3"}, "adapter.prot is not a key that exists: did you mean 'port'?"),
        ({"port": "COM3", "rate": "fast"}, "adapter.rate is 'fast': give a number"),
        ({"port": "COM3", "session": 1}, "adapter.session is not a key that exists"),
    ],
)
def test_a_wrong_option_is_refused_with_its_key(install, options, expected):
    install("photometry", "photo_c:Photometry", PHOTOMETRY)
    assert expected in refusal({"type": "photometry", **options})


def test_an_adapter_without_its_hooks_is_refused_with_their_names(install):
    install("photometry", "photo_h:Photometry", PHOTOMETRY.partition("    async def start")[0])
    message = refusal({"type": "photometry", "port": "COM3"})
    assert "lacks start and stop" in message


def test_a_missing_extra_is_named(install):
    install("optical", "opt_a:X", "import no_such_driver.core", package="opticals", extras=["optical"])
    message = refusal({"type": "optical"})
    assert "needs no_such_driver, which is not installed: pip install 'opticals[optical]'" in message


def test_a_missing_module_without_an_extra_is_named(install):
    install("optical", "opt_b:X", "import no_such_driver")
    assert "needs no_such_driver, which is not installed: pip install no_such_driver" in refusal(
        {"type": "optical"}
    )


@pytest.mark.parametrize(
    ("module", "code", "expected"),
    [
        ("broken_a", "raise OSError('driver\\nnot found')", "(OSError: driver not found)"),
        ("broken_b", "", "AttributeError"),
        ("broken_c", "X = 5", "is not a subclass of Adapter"),
        ("broken_d", "class X: pass", "is not a subclass of Adapter"),
        ("broken_e", "def", "SyntaxError"),
    ],
)
def test_an_adapter_that_cannot_be_imported_is_refused_by_name(install, module, code, expected):
    install("broken", f"{module}:X", code)
    message = refusal({"type": "broken"})
    assert "the adapter 'broken'" in message
    assert expected in message


def test_two_packages_with_an_adapter_of_one_name_are_refused(install):
    install("photometry", "photo_d:Photometry", PHOTOMETRY, package="lab_a")
    install("photometry", "photo_e:Photometry", PHOTOMETRY, package="lab_b")
    message = refusal({"type": "photometry", "port": "COM3"})
    assert "photo_d:Photometry and photo_e:Photometry" in message
    assert "uninstall" in message


def test_one_package_found_twice_is_one(install):
    install("photometry", "photo_f:Photometry", PHOTOMETRY, package="lab_c")
    install("photometry", "photo_f:Photometry", PHOTOMETRY, package="lab_c_again")
    options = {"type": "photometry", "port": "COM3"}
    built: Any = build_adapter(AdapterConfig.model_validate(options), "optics")
    assert built.port == "COM3"
