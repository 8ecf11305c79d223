"""Who may read a folder on Windows: by its access list, in the letters of Microsoft's SDDL."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TRUSTED = {"SY", "S-1-5-18", "BA", "S-1-5-32-544", "OW", "S-1-3-4"}
"""The system, its administrators, and the rights of whoever owns a file: they can read all of a PC anyhow."""
TOUCHING = 0xD000_0000 | 0x000C_0000 | 0x0000_0003
"""GENERIC_READ, _WRITE and _ALL; WRITE_DAC and WRITE_OWNER; FILE_READ_DATA and FILE_WRITE_DATA."""
LETTERS = {"GA", "GR", "GW", "FA", "FR", "FW", "WD", "WO", "CC", "DC"}
"""The same as SDDL writes it."""
_ENTRY = re.compile(r"\(A;([^;]*);([^;]*);[^;]*;[^;]*;([^;)]*)[^)]*\)")


def find_readers_in(sddl: str, me: str) -> list[str]:
    """Return whom an access list lets read or change something who is neither this user nor trusted anyhow.

    Parameters
    ----------
    sddl : str
        A security descriptor, as ``D:P(A;OICI;FA;;;SY)``. Source: [MS-DTYP] 2.5.1.
    me : str
        This user's SID, as ``S-1-5-21-…``.
    """
    _, is_there, entries = sddl.partition("D:")
    if not is_there or "NO_ACCESS_CONTROL" in entries[:20]:
        return ["everybody"]
    mine = {me, *(["LA"] if me.endswith("-500") else [])}  # the letters of the PC's first administrator
    found = []
    for flags, rights, who in _ENTRY.findall(entries):
        is_only_inherited = "IO" in re.findall("..", flags)
        if who not in mine and who not in TRUSTED and not is_only_inherited and _lets_touch(rights):
            found.append(who)
    return found


def _lets_touch(rights: str) -> bool:
    if rights.startswith("0x"):
        return bool(int(rights, 16) & TOUCHING)
    return bool(LETTERS & set(re.findall("..", rights)))


def make_list(me: str, *, is_folder: bool) -> str:
    """Return the access list by which this user and the system alone do anything with a file or folder."""
    inherited = "OICI" if is_folder else ""
    return "D:P" + "".join(f"(A;{inherited};FA;;;{who})" for who in (me, "SY"))


def spell_shutting(path: Path) -> str:
    """Return the command by which a person gives a folder to themselves alone."""
    return f'icacls "{path}" /inheritance:r /grant:r "%USERNAME%:{"(OI)(CI)" if path.is_dir() else ""}F"'


if sys.platform == "win32":
    import ctypes
    from ctypes import POINTER, byref, c_int, c_ulong, c_void_p, c_wchar_p

    def let_only_me_in(path: Path) -> None:
        """Let nobody but this user and the system read a file, or a folder and what will lie in it.

        Raises
        ------
        OSError
            Windows refuses it.
        """
        advapi, kernel = ctypes.WinDLL("advapi32"), ctypes.WinDLL("kernel32")
        parse = advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW
        parse.argtypes = [c_wchar_p, c_ulong, POINTER(c_void_p), c_void_p]
        keep = advapi.SetFileSecurityW
        keep.argtypes = [c_wchar_p, c_ulong, c_void_p]
        kernel.LocalFree.argtypes = [c_void_p]
        descriptor = c_void_p()
        if not parse(make_list(find_me(), is_folder=path.is_dir()), 1, byref(descriptor), None):
            raise OSError("Windows does not take a list of who may read it")
        try:
            # DACL_SECURITY_INFORMATION, and PROTECTED_: nothing comes from the folder around it
            if not keep(str(path), 0x8000_0004, descriptor):
                raise ctypes.WinError()
        finally:
            kernel.LocalFree(descriptor)

    def find_readers(path: Path) -> str | None:
        """Return who else can read a file or folder; None: nobody, or Windows does not tell."""
        try:
            found = find_readers_in(_read_sddl(path), find_me())
        except (OSError, AttributeError):
            return None
        return f"Windows lets {', '.join(found)} read it" if found else None

    def find_me() -> str:
        """Return this user's SID. Raises OSError."""
        advapi, kernel = ctypes.WinDLL("advapi32"), ctypes.WinDLL("kernel32")
        token = c_void_p()
        kernel.GetCurrentProcess.restype = c_void_p
        advapi.OpenProcessToken.argtypes = [c_void_p, c_ulong, POINTER(c_void_p)]
        advapi.GetTokenInformation.argtypes = [c_void_p, c_int, c_void_p, c_ulong, POINTER(c_ulong)]
        kernel.CloseHandle.argtypes = [c_void_p]
        if not advapi.OpenProcessToken(kernel.GetCurrentProcess(), 0x0008, byref(token)):  # TOKEN_QUERY
            raise OSError("Windows does not tell who this user is")
        try:
            buffer, size = ctypes.create_string_buffer(256), c_ulong()
            if not advapi.GetTokenInformation(token, 1, buffer, 256, byref(size)):  # TokenUser
                raise OSError("Windows does not tell who this user is")
            sid = c_void_p.from_buffer(buffer)
            return _spell(advapi.ConvertSidToStringSidW, [c_void_p], sid)
        finally:
            kernel.CloseHandle(token)

    def _read_sddl(path: Path) -> str:
        advapi, kernel = ctypes.WinDLL("advapi32"), ctypes.WinDLL("kernel32")
        descriptor = c_void_p()
        get = advapi.GetNamedSecurityInfoW
        get.argtypes = [c_wchar_p, c_int, c_ulong, *[c_void_p] * 4, POINTER(c_void_p)]
        # SE_FILE_OBJECT, DACL_SECURITY_INFORMATION
        if number := get(str(path), 1, 4, None, None, None, None, byref(descriptor)):
            raise OSError(number, "Windows does not tell who may read it")
        try:
            spell = advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW
            kinds = [c_void_p, c_ulong, c_ulong]
            return _spell(spell, kinds, descriptor, 1, 4, more=[None])
        finally:
            kernel.LocalFree.argtypes = [c_void_p]
            kernel.LocalFree(descriptor)

    def _spell(function: Any, kinds: Sequence[Any], *given: object, more: Sequence[object] = ()) -> str:
        """Call one of Windows' functions that make a text, and return the text."""
        kernel, text = ctypes.WinDLL("kernel32"), c_wchar_p()
        function.argtypes = [*kinds, POINTER(c_wchar_p), *[c_void_p for _ in more]]
        if not function(*given, byref(text), *more):
            raise OSError("Windows does not tell it")
        try:
            return text.value or ""
        finally:
            kernel.LocalFree.argtypes = [c_void_p]
            kernel.LocalFree(text)

else:

    def let_only_me_in(path: Path) -> None:
        """Do nothing: elsewhere the rights of a file say it."""

    def find_readers(path: Path) -> str | None:
        """Return nothing: elsewhere the rights of a file say it."""
        return None
