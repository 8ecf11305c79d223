"""Asks Windows which networks this PC is in, and what it thinks of them, in any language of Windows."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Any

if sys.platform == "win32":
    from ctypes import HRESULT, POINTER, WINFUNCTYPE, byref, c_uint32, c_void_p, c_wchar_p

    MANAGER = "{DCB00C01-570F-4A9B-8D69-199FDBA5723B}"
    """The list of networks, Windows' NetworkListManager."""
    MANAGES = "{DCB00000-570F-4A9B-8D69-199FDBA5723B}"
    """INetworkListManager."""
    IN_OR_BESIDE = 0x1 | 0x4 | 0x10
    """CLSCTX_ALL without servers of another PC."""
    CONNECTED = 1
    """NLM_ENUM_NETWORK_CONNECTED."""
    RELEASE, GET_NETWORKS, NEXT, GET_NAME, GET_CATEGORY = 2, 7, 8, 7, 18
    """Places in the tables of functions, as netlistmgr.h has them."""
    OTHER_MODE = -2147417850
    """RPC_E_CHANGED_MODE: somebody has prepared this thread before, which does as well."""
    _ole = ctypes.OleDLL("ole32")
    _strings = ctypes.WinDLL("oleaut32")
    _strings.SysFreeString.argtypes = [c_void_p]

    def list_networks() -> list[tuple[str, int]]:
        """Return name and category of each network that this PC is in; nothing where that is not told."""
        try:
            try:
                _ole.CoInitializeEx(None, 0)
            except OSError as error:
                if getattr(error, "winerror", None) != OTHER_MODE:
                    raise
                return _list()
            try:
                return _list()
            finally:
                _ole.CoUninitialize()
        except OSError:
            return []

    def _list() -> list[tuple[str, int]]:
        manager, networks = c_void_p(), c_void_p()
        wanted, kind = (ctypes.create_string_buffer(16) for _ in range(2))
        _ole.CLSIDFromString(c_wchar_p(MANAGER), wanted)
        _ole.IIDFromString(c_wchar_p(MANAGES), kind)
        _ole.CoCreateInstance(wanted, None, IN_OR_BESIDE, kind, byref(manager))
        found = []
        try:
            _call(manager, GET_NETWORKS, (c_uint32, CONNECTED), (c_void_p, byref(networks)))
            try:
                while (network := _next(networks)) is not None:
                    try:
                        found.append(_describe(network))
                    finally:
                        _release(network)
            finally:
                _release(networks)
        finally:
            _release(manager)
        return found

    def _next(networks: c_void_p) -> c_void_p | None:
        network, fetched = c_void_p(), c_uint32()
        _call(networks, NEXT, (c_uint32, 1), (c_void_p, byref(network)), (c_void_p, byref(fetched)))
        return network if fetched.value else None

    def _describe(network: c_void_p) -> tuple[str, int]:
        name, category = c_void_p(), c_uint32()
        _call(network, GET_CATEGORY, (c_void_p, byref(category)))
        with contextlib.suppress(OSError):  # it is judged without its name, too
            _call(network, GET_NAME, (c_void_p, byref(name)))
        try:
            return ctypes.wstring_at(name.value) if name.value else "", category.value
        finally:
            _strings.SysFreeString(name)

    def _call(thing: c_void_p, place: int, *arguments: tuple[Any, Any]) -> None:
        kinds, values = zip(*arguments, strict=True)
        WINFUNCTYPE(HRESULT, c_void_p, *kinds)(_function(thing, place))(thing, *values)

    def _release(thing: c_void_p) -> None:
        WINFUNCTYPE(c_uint32, c_void_p)(_function(thing, RELEASE))(thing)

    def _function(thing: c_void_p, place: int) -> int:
        table = ctypes.cast(thing, POINTER(POINTER(c_void_p))).contents
        return int(table[place] or 0)
else:

    def list_networks() -> list[tuple[str, int]]:
        """Return nothing: only Windows judges networks."""
        return []
