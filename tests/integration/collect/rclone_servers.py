"""Real servers on this machine's own addresses, each with a folder of its own, that rclone can reach."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import pytest

from multirig.collect.places.rclone_program import find_rclone
from multirig.errors import ConfigError

USER, PASSWORD = "lab", "open sesame"
LIMIT = 15.0


def rclone() -> str:
    """Return the program, or skip the test by its name."""
    try:
        return find_rclone()
    except ConfigError as error:
        pytest.skip(str(error))


def find_program(name: str) -> str:
    """Return a program of the system, or skip the test by its name."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


class Server:
    """A server, and the section of rclone's config by which it is reached.

    Parameters
    ----------
    folder : pathlib.Path
        For what it needs; what it serves lies in ``root``.
    """

    name = "server"
    path = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "served"
        self.root.mkdir(parents=True)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = (folder / "log").open("wb")
        self.prepare()

    def prepare(self) -> None:
        """Make what it needs once."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def text(self) -> str:
        """As a person writes this destination."""
        return f"{self.name}:{self.path}"

    def config(self) -> Path:
        """Write rclone's config, and return its path."""
        path = self.folder / "rclone.conf"
        lines = [f"[{self.name}]", *(f"{key} = {value}" for key, value in self.settings().items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def start(self) -> None:
        environment = {**os.environ, "RCLONE_CACHE_DIR": str(self.folder / "cache")}
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=environment
        )
        end = time.monotonic() + LIMIT
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.stop()
        self._log.close()


def obscure(password: str) -> str:
    told = subprocess.run(
        [rclone(), "obscure", "-"], input=password.encode(), capture_output=True, check=True
    )
    return told.stdout.decode().strip()


class Sftp(Server):
    """`rclone serve sftp`: it makes checksums from its disk."""

    name = "sftp"

    def command(self) -> list[str]:
        login = ["--user", USER, "--pass", PASSWORD]
        return [rclone(), "serve", "sftp", str(self.root), "--addr", f"127.0.0.1:{self.port}", *login]

    def settings(self) -> dict[str, Any]:
        login = {"user": USER, "pass": obscure(PASSWORD)}
        return {"type": "sftp", "host": "127.0.0.1", "port": self.port, **login}


class WebDav(Server):
    """`rclone serve webdav`: it has no checksums."""

    name = "webdav"
    vendor = "rclone"

    def command(self) -> list[str]:
        login = ["--user", USER, "--pass", PASSWORD]
        return [rclone(), "serve", "webdav", str(self.root), "--addr", f"127.0.0.1:{self.port}", *login]

    def settings(self) -> dict[str, Any]:
        login = {"user": USER, "pass": obscure(PASSWORD)}
        return {"type": "webdav", "url": f"http://127.0.0.1:{self.port}", "vendor": self.vendor, **login}


class OtherWebDav(WebDav):
    """The same, taken for one that must know before how many bytes come, as Nextcloud must."""

    name = "other webdav"
    vendor = "other"


class OpenSsh(Server):
    """OpenSSH's sshd, of this user alone, by a key."""

    name = "openssh"

    def prepare(self) -> None:
        if sys.platform == "win32":
            pytest.skip("Windows' own sshd is no matter of one user")
        find_program("sshd")
        keygen = find_program("ssh-keygen")
        for name in ("host", "user"):
            command = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(command, check=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        lines = [
            f"ListenAddress 127.0.0.1:{self.port}",
            f"HostKey {self.folder / 'host'}",
            f"AuthorizedKeysFile {self.folder / 'user.pub'}",
            f"PidFile {self.folder / 'pid'}",
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin yes",
            "MaxStartups 100",
            "Subsystem sftp internal-sftp",
        ]
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def path(self) -> str:  # type: ignore[override]
        return str(self.root)

    def command(self) -> list[str]:
        return [find_program("sshd"), "-D", "-e", "-f", str(self.folder / "sshd_config")]

    def settings(self) -> dict[str, Any]:
        login = {"user": getpass.getuser(), "key_file": self.folder / "user"}
        return {"type": "sftp", "host": "127.0.0.1", "port": self.port, **login}


class Samba(Server):
    """Samba's smbd, with a share, through rclone's own smb."""

    name = "samba"
    path = "share"

    def prepare(self) -> None:
        find_program("smbd")
        own = self.folder / "s"
        own.mkdir()
        kinds = ("private dir", "lock directory", "state directory", "cache directory", "pid directory",
                 "ncalrpc dir")  # fmt: skip
        lines = [
            "[global]",
            f"smb ports = {self.port}",
            "interfaces = 127.0.0.1",
            "bind interfaces only = yes",
            *(f"{kind} = {own}" for kind in kinds),
            "passdb backend = smbpasswd",
            f"smb passwd file = {own / 'passwords'}",
            f"log file = {own / 'log'}",
            "load printers = no",
            "disable spoolss = yes",
            "[share]",
            f"path = {self.root}",
            "read only = no",
        ]
        (self.folder / "smb.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [find_program("smbpasswd"), "-c", str(self.folder / "smb.conf"), "-L", "-a", "-s"]
        entry = f"{PASSWORD}\n{PASSWORD}\n".encode()
        done = subprocess.run([*command, getpass.getuser()], input=entry, capture_output=True)
        if done.returncode:
            pytest.skip(f"Samba takes no user here: {done.stderr.decode()}")

    def command(self) -> list[str]:
        options = ["--foreground", "--no-process-group", f"--configfile={self.folder / 'smb.conf'}"]
        return [find_program("smbd"), *options, "--debug-stdout"]

    def settings(self) -> dict[str, Any]:
        login = {"user": getpass.getuser(), "pass": obscure(PASSWORD)}
        return {"type": "smb", "host": "127.0.0.1", "port": self.port, **login}


KINDS = (Sftp, WebDav, OtherWebDav, OpenSsh, Samba)
