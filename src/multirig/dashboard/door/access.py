"""Who may see the console: passwords, wrong tries, sessions, and which addresses are its own.

No request and no clock in here; ``now`` is an argument. `guard` holds every request against these rules.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import math
import re
import secrets
import unicodedata
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from multirig.errors import ConfigError

MIN_PASSWORD = 8
"""Characters."""
MAX_PASSWORD = 1024
"""Characters; nobody types more, and whoever sends more wants to keep this PC busy."""
LIFE = 7 * 24 * 3600
"""Seconds for which a browser that knew the password is not asked again."""
FREE_TRIES = 5
"""Wrong passwords in a row from one address before it has to wait."""
FIRST_WAIT = 60.0
"""Seconds after these; each further wrong one doubles it."""
LONGEST_WAIT = 900.0
FORGIVEN_AFTER = 3600.0
"""Seconds after the last wrong password from an address until it begins anew."""
ALL_TRIES = 30
"""Tries from everywhere within `WINDOW`; then strangers are judged slowly, and nobody is shut out."""
WINDOW = 60.0
"""Seconds."""
MAX_ADDRESSES = 1000
"""Addresses that are remembered; of more, the one that has tried least recently is forgotten."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_LOG_N, _R, _P = 15, 8, 1
"""Cost of a hash: 32 MiB and about a tenth of a second, as OWASP's cheat sheet on passwords has it."""
NOBODYS = f"scrypt${_LOG_N}${_R}${_P}$" + "$".join(base64.b64encode(bytes(n)).decode() for n in (16, 32))
"""Is reckoned where there is nothing to compare with, so that the time tells nobody which names are known."""
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::[0-9]{1,5})?", re.IGNORECASE)


# -- passwords -----------------------------------------------------------------------------------------------


def hash_password(password: str) -> str:
    """Return what is kept instead of a password: ``scrypt$log2(n)$r$p$salt$key``.

    Raises
    ------
    ConfigError
        It is too short, or too long.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ConfigError(
            f"the password has {len(password)} characters: take at least {MIN_PASSWORD}, "
            f"at most {MAX_PASSWORD}"
        )
    salt = secrets.token_bytes(16)
    key = _derive(password, salt, _LOG_N, _R, _P)
    return f"scrypt${_LOG_N}${_R}${_P}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def is_password(password: str, kept: str) -> bool:
    """Whether it is the password whose hash is kept, which the config has checked; takes its time."""
    if len(password) > MAX_PASSWORD:
        return False
    _, log_n, r, p, salt, key = kept.split("$")
    derived = _derive(password, base64.b64decode(salt), int(log_n), int(r), int(p))
    return hmac.compare_digest(derived, base64.b64decode(key))


def _derive(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    # The same letters may come in different code points: a Mac's keyboard and Windows' differ in é.
    letters = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    needed = 128 * r * (2**log_n + p + 2)
    return hashlib.scrypt(letters, salt=salt, n=2**log_n, r=r, p=p, maxmem=needed + 2**20, dklen=32)


# -- tokens --------------------------------------------------------------------------------------------------

ONCE_LIFE = 60.0
"""Seconds in which a browser that the console opens itself must have come."""


def make_token(secret: bytes) -> str:
    """Return what stands in the address of a console that only this PC reaches: always the same here."""
    return base64.urlsafe_b64encode(hmac.digest(secret, b"this PC", "sha256")[:18]).decode()


class Token:
    """Lets the user of this PC in, and none of its other users, who reach ``127.0.0.1`` as well.

    Parameters
    ----------
    token : str
        As `make_token` makes it; it stands in the printed address.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._once: dict[str, float] = {}

    def make_once(self, now: float) -> str:
        """Return another one that opens one time: every user of a PC sees what a browser is started with."""
        self._once = {one: until for one, until in self._once.items() if now < until}
        made = secrets.token_urlsafe(18)
        self._once[made] = now + ONCE_LIFE
        return made

    def open_addresses(self, urls: Sequence[str], now: float) -> tuple[list[str], str]:
        """Return addresses that open it, and the first of them as one that does so one time."""
        return [f"{one}/?token={self._token}" for one in urls], f"{urls[0]}/?token={self.make_once(now)}"

    def opens(self, said: str, now: float) -> bool:
        """Whether it opens the console; `now` is in seconds, on a clock that only goes forward."""
        if hmac.compare_digest(said.encode(), self._token.encode()):
            return True
        return now < self._once.pop(said, 0.0)


# -- wrong passwords -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tries:
    last: float
    until: float = 0.0
    counts: dict[str | None, int] = field(default_factory=dict)
    """How many, by the account whose password was tried."""

    @property
    def count(self) -> int:
        return sum(self.counts.values())


class Limiter:
    """How often a password may be tried: few times from one address, or by one browser that once knew it.

    Whoever guesses holds up nobody else: not another address, and not that browser, wherever it is.
    A try counts as wrong when it is begun, so that many at once are no way round; a right one is taken back,
    and the wrong ones for the same account with it: whoever has an account gets no more tries at another.
    """

    def __init__(self) -> None:
        self._tries: OrderedDict[str, _Tries] = OrderedDict()
        self._all: deque[float] = deque(maxlen=ALL_TRIES)

    def __len__(self) -> int:
        """Return how many addresses are remembered."""
        return len(self._tries)

    def is_rushed(self, now: float) -> bool:
        """Whether so many tries come from everywhere that somebody guesses."""
        return len(self._all) == ALL_TRIES and now < self._all[0] + WINDOW

    def take(self, address: str, now: float, browser: str | None = None, account: str | None = "") -> float:
        """Begin a try; return 0, or for how many seconds to wait before one may be made.

        Parameters
        ----------
        address : str
            Of whoever tries.
        now : float
            In seconds, on a clock that only goes forward.
        browser : str, optional
            Its name, where it is one that knew the password before: it counts by itself then.
        account : str, optional
            Whose password is tried; empty: the one of the console, None: of nobody that there is.
        """
        address = browser or network_of(address)
        tries = self._tries.get(address)
        if tries is not None and now - tries.last >= FORGIVEN_AFTER:
            tries = None
        wait = 0.0 if tries is None else tries.until - now
        if wait > 0:
            return wait
        tries = self._tries[address] = tries or _Tries(now)
        tries.counts[account] = tries.counts.get(account, 0) + 1
        doublings = max(tries.count - FREE_TRIES, 0)
        pause = min(math.ldexp(FIRST_WAIT, min(doublings, 10)), LONGEST_WAIT)
        tries.last = now
        tries.until = now + pause if tries.count >= FREE_TRIES else 0.0
        self._tries.move_to_end(address)
        if len(self._tries) > MAX_ADDRESSES:
            self._tries.popitem(last=False)
        self._all.append(now)
        return 0.0

    def succeed(self, address: str, browser: str | None = None, account: str | None = "") -> None:
        """Take back a try that was right, and forget the wrong ones for that account before it."""
        address = browser or network_of(address)
        tries = self._tries.get(address)
        if tries is None:
            return
        if tries.last in self._all:
            self._all.remove(tries.last)
        tries.counts.pop(account, None)
        tries.until = 0.0  # it had waited before this try
        if not tries.counts:
            del self._tries[address]


class Pace:
    """How much somebody may ask for: so much at once, and so much a second from then on.

    Parameters
    ----------
    at_once : float
        How much in one go, after a pause.
    per_second : float
        How much goes on like that.
    """

    def __init__(self, at_once: float, per_second: float) -> None:
        self._at_once, self._per_second = at_once, per_second
        self._left: dict[str, tuple[float, float]] = {}
        """What each has left, and when that was reckoned; one for each account, of which there are few."""

    def keeps(self, who: str, now: float) -> bool:
        """Take one more and return True; False: it is too much. `now` is in seconds and only goes forward."""
        left, at = self._left.get(who, (self._at_once, now))
        left = min(self._at_once, left + (now - at) * self._per_second)
        may = left >= 1
        self._left[who] = (left - may, now)
        return may


class Browsers:
    """Browsers that once knew the password, by a signed cookie that opens nothing.

    A try of theirs for the same account counts by itself, so that nobody else's wrong ones keep them out.
    OWASP calls it a device cookie.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"browser", "sha256")

    def name(self, account: str = "") -> str:
        """Return the cookie of another one, which knew the password of that account."""
        name = secrets.token_urlsafe(24)
        return f"{name}.{self._sign(name, account)}"

    def find(self, cookie: str, account: str = "") -> str | None:
        """Return the name of a browser, by its cookie; None: none of ours, or another account's."""
        name, _, signature = cookie.partition(".")
        is_ours = hmac.compare_digest(self._sign(name, account).encode(), signature.encode())
        return name if is_ours else None

    def _sign(self, name: str, account: str) -> str:
        # a key for each account: none of them can be made into another one's, or the one password's
        key = hmac.digest(self._key, account.encode(), "sha256") if account else self._key
        return _in_letters(hmac.digest(key, name.encode(), "sha256"))


def _in_letters(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def network_of(address: str) -> str:
    """Return what counts as one address: whoever has one of IPv6 usually has 2**64 of them."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False).network_address)


# -- sessions ------------------------------------------------------------------------------------------------


class Sessions:
    """Browsers that have shown that they know a password, by a signed cookie.

    They stay so when the console is restarted, and end all together when that password is changed.

    Parameters
    ----------
    secret : bytes
        This installation's own.
    password : str, optional
        The hash of the console's one password that is kept; None: it has none.
    ended : mapping of str to int, optional
        What was ended before this start.
    stamp_of : callable, optional
        Returns what changes with whatever is changed of an account; None where there is none of that name.
    """

    def __init__(
        self,
        secret: bytes,
        password: str | None,
        ended: Mapping[str, int] | None = None,
        stamp_of: Callable[[str], str | None] = lambda account: None,
    ) -> None:
        self._secret = secret
        self._password = password
        self._stamp_of = stamp_of
        self._ended: dict[str, int] = dict(ended or {})

    @property
    def ended(self) -> Mapping[str, int]:
        """Sessions that were ended before their time → until when they would have lasted."""
        return self._ended

    def begin(self, now: float, account: str = "") -> str:
        """Return the cookie of a new session.

        Parameters
        ----------
        now : float
            In seconds since 1970.
        account : str
            Who has logged in; empty: with the console's one password.
        """
        name, expires = secrets.token_urlsafe(24), int(now) + LIFE
        cookie = f"{name}.{expires}.{self._sign(name, expires, account)}"
        return f"{cookie}.{_in_letters(account.encode())}" if account else cookie

    def find(self, cookie: str, now: float) -> str | None:
        """Return whose session a cookie is of, empty for the one password; None: of none that goes on."""
        match cookie.split("."):
            case [name, expires, signature]:
                account = ""
            case [name, expires, signature, letters] if read := _from_letters(letters):
                account = read
            case _:
                return None
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12):
            return None
        expected = self._sign(name, int(expires), account)
        is_ours = expected is not None and hmac.compare_digest(expected.encode(), signature.encode())
        return account if is_ours and now < int(expires) and name not in self._ended else None

    def is_open(self, cookie: str, now: float) -> bool:
        """Whether it is the cookie of a session that goes on."""
        return self.find(cookie, now) is not None

    def end(self, cookie: str, now: float) -> None:
        """End a session before its time."""
        if self.is_open(cookie, now):
            name, expires = cookie.split(".")[:2]
            self._ended[name] = int(expires)
            self._ended = {one: until for one, until in self._ended.items() if now < until}

    def _sign(self, name: str, expires: int, account: str) -> str | None:
        if account:
            stamp = self._stamp_of(account)
            kind = None if stamp is None else f"account {stamp}"
        else:
            kind = None if self._password is None else f"session {self._password}"
        if kind is None:
            return None
        key = hmac.digest(self._secret, kind.encode(), "sha256")
        return _in_letters(hmac.digest(key, f"{name}.{expires}".encode(), "sha256"))


def _from_letters(letters: str) -> str:
    """Return what was written by `_in_letters`; empty where it was not."""
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        return ""


# -- addresses -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names and addresses under which a console answers.

    A page from elsewhere could otherwise have its own name point here, and then talk to the console as if
    that were its own server.
    """

    names: Collection[str] = LOOPBACK_NAMES
    """In lower case."""
    any_ip: bool = False
    """Whether every IP address is one of them: no page from elsewhere can come under this PC's."""

    def hold(self, host: str) -> bool:
        """Whether a request's ``Host`` header names this console."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found["six"] or found["name"]).lower().removesuffix(".")
        if name in self.names:
            return True
        try:
            ip = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.any_ip or str(ip) in self.names


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an ``Origin`` header says that a request comes from a page of the console itself.

    Parameters
    ----------
    origin : str
        Such as ``http://127.0.0.1:8090``; ``null`` for a page that hides where it comes from.
    host : str
        The ``Host`` header of the same request, which has been checked.
    """
    scheme, separator, place = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and place.lower() == host.lower()


def to_own_path(target: str) -> str:
    """Return a path of this console to go to, whatever was asked for: never another site."""
    is_ours = re.fullmatch(r"/(?![/\\])[A-Za-z0-9_.~/?=&%+:,@-]*", target) is not None
    return target if is_ours else "/"


# -- headers -------------------------------------------------------------------------------------------------


def security_headers(host: str) -> dict[str, str]:
    """Return what every answer says of what a browser may do with it.

    `host` is the request's ``Host`` header, which was checked; older Safaris want the web socket by name.
    """
    # NiceGUI's pages hold their start as inline scripts, and Vue compiles templates in the browser.
    policy = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        f"connect-src 'self' ws://{host} wss://{host}; worker-src 'self' blob:; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        # As no-referrer towards others; with that one, browsers would hide the origin of our own forms too.
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
