"""Files of public data sets: found on this machine or downloaded, and never used without a checksum.

``fetch`` looks for a file in this order:

1. the folder that the environment variable ``TUTORLIB_DATA`` names, as ``<folder>/<name>`` or as ``<name>``. Sets
   share names of files, so a ``<name>`` with other content is another set's, and the search goes on;
2. the cache: ``TUTORLIB_CACHE`` if set, else the system's cache folder of this user;
3. the file's addresses, one after the other; what arrives is checked and then moved into the cache at once.
"""

import hashlib
import os
import re
import ssl
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pooch
from filelock import FileLock
from tqdm import tqdm

from tutorlib.lab.errors import TutorlibError, bad_argument, checked, expect_fields

__all__ = [
    "ChecksumError",
    "DataError",
    "DataFormatError",
    "DataUnavailableError",
    "DownloadError",
    "RemoteFile",
    "cache_folder",
    "fetch",
    "find_given",
]

TIMEOUT = 30.0
"""Seconds without a single byte from a server after which it counts as hung."""

MAX_TIMEOUT = 86_400.0  # a day: no system takes any number
MAX_BYTES = 512 * 2**20
"""Most bytes that are taken of a file whose size nobody states. The largest of all sets, EMNIST's 562 MB, states it."""

NOT_HERE = "not here"
CONNECT = 10.0  # seconds to wait for a connection: behind a firewall that drops packets, all of them
CHUNK = 2**16  # bytes read at a time; pooch's own 1 KiB makes large archives slow


class DataError(TutorlibError):
    """Base of every error about a data set's files."""


class DataUnavailableError(DataError):
    """A file that is not on this machine, and no server could be reached to get it."""


class DownloadError(DataError):
    """A file that a server refused, broke off, or never sent; or that could not be written to the cache."""


class ChecksumError(DataError):
    """A file whose content is neither the official one nor a known variant of it."""


class DataFormatError(DataError):
    """A file that is not in the format which its name promises."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of a public data set, and how to know that it is the right one.

    ``name`` is its official file name and ``folder`` the data set's folder; both are plain names. ``urls``
    are tried in order. ``md5`` is the official file's checksum (``None`` where none is published),
    ``accepted`` holds the SHA-256 of every other file of this name that may stand for it, such as a
    re-packed part, and ``size`` is the official file's length in bytes: people are told what they are about to
    download, and no more than that is taken from a server.

    Raises ``UsageError`` for a name with a path in it, and for a checksum that is missing or malformed.
    """

    name: str
    folder: str
    urls: tuple[str, ...]
    md5: str | None = None
    accepted: tuple[str, ...] = ()
    size: int | None = None

    def __post_init__(self) -> None:
        expect_fields(self, maximum={"size": 10**12})
        for field, value in (("name", self.name), ("folder", self.folder)):
            if not re.fullmatch(r"\w[\w.-]*", value):
                raise bad_argument(field, value, "a plain file name without a path")
        if self.md5 is None and not self.accepted:
            raise bad_argument("md5", self.md5, "a checksum here or in accepted")
        if self.md5 is not None and not re.fullmatch("[0-9a-f]{32}", self.md5):
            raise bad_argument("md5", self.md5, "32 hexadecimal digits")
        if not all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in self.accepted):
            raise bad_argument("accepted", self.accepted, "SHA-256 checksums of 64 hexadecimal digits")

    def __str__(self) -> str:
        if not self.size:
            return f"{self.folder}/{self.name}"
        words = f"{self.size / 1e6:.1f} MB" if self.size >= 1e5 else f"{self.size / 1e3:.1f} kB"
        return f"{self.folder}/{self.name} ({words})"


@checked(positive=("timeout",))
def fetch(file: RemoteFile, *, timeout: float | int = TIMEOUT) -> Path:
    """Return the path of a checked copy of ``file``; download it into the cache if it is not on this machine.

    ``timeout`` is how many seconds a server may stay silent. Processes that ask for the same file at once
    wait for each other, so it is downloaded once. On failure nothing but a lock file is left behind.

    Raises ``ChecksumError`` for a file with other content than expected, ``DataUnavailableError`` where
    there is no network, ``DownloadError`` where a server (404, hang, broken transfer) or the cache folder
    fails, and ``UsageError`` for a ``TUTORLIB_DATA`` that is no folder and a ``timeout`` that is no time.
    """
    if timeout > MAX_TIMEOUT:
        raise bad_argument("timeout", timeout, f"seconds, more than 0 and at most {MAX_TIMEOUT:g}")
    given, passed = search_given(file)
    if given is not None:
        return given
    cached = cache_folder() / file.folder / file.name
    try:
        # A checked file is used without taking the lock, which a cache that may only be read would refuse.
        if cached.exists() and not mismatch(cached, file):
            return cached
        cached.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{cached}.lock"):
            if cached.exists() and not mismatch(cached, file):
                return cached  # another process fetched it while this one waited
            cached.unlink(missing_ok=True)
            download(file, cached, timeout, passed)
            return cached
    except OSError as error:
        raise DownloadError(
            f"{file} cannot be kept in the cache ({error}): set TUTORLIB_CACHE to a writable folder"
        ) from error


@checked()
def find_given(file: RemoteFile) -> Path | None:
    """Return the path of ``file`` in the folder ``TUTORLIB_DATA``, or ``None`` if it is not there.

    Raises ``ChecksumError`` if the set's own folder in it holds a file of that name with other content, and
    ``UsageError`` for a ``TUTORLIB_DATA`` that is no folder.
    """
    return search_given(file)[0]


def search_given(file: RemoteFile) -> tuple[Path | None, DataError | None]:
    """Return what ``find_given`` does, and what was wrong with a file of the right name that was passed over."""
    folder = data_folder()
    if folder is None:
        return None, None
    passed: DataError | None = None
    for path, inside in ((folder / file.folder / file.name, True), (folder / file.name, False)):
        try:
            if not path.is_file():
                continue
            wrong = mismatch(path, file)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror or error}): check TUTORLIB_DATA") from error
        if wrong is None:
            return path, None
        passed = ChecksumError(f"{path} is not {file}: {wrong}")
        if inside:
            raise passed
    return None, passed


def data_folder() -> Path | None:
    """Return the folder that ``TUTORLIB_DATA`` names, or ``None`` if it is unset or empty."""
    value = os.environ.get("TUTORLIB_DATA")
    if not value:
        return None
    if not Path(value).is_dir():
        raise bad_argument("TUTORLIB_DATA", value, "an existing folder")
    return Path(value)


def cache_folder() -> Path:
    """Return the folder for downloads: ``TUTORLIB_CACHE`` if set, else this user's cache folder."""
    return Path(os.environ.get("TUTORLIB_CACHE") or pooch.os_cache("tutorlib"))


# Checksums: what was verified once in this process is not read again while its time and size stay the same.

_verified: set[tuple[Path, int, int, RemoteFile]] = set()


def mismatch(path: Path, file: RemoteFile) -> str | None:
    """Return in words why ``path`` does not hold ``file`` or an accepted variant, or ``None`` if it does."""
    stat = path.stat()
    seen = (path.absolute(), stat.st_mtime_ns, stat.st_size, file)
    if seen in _verified:
        return None
    md5 = checksum(path, "md5")
    if md5 != file.md5 and (sha256 := checksum(path, "sha256")) not in file.accepted:
        known = ([f"md5 {file.md5}"] if file.md5 else []) + [f"sha256 {value}" for value in file.accepted]
        return f"it has md5 {md5} and sha256 {sha256}, expected {' or '.join(known)}"
    _verified.add(seen)
    return None


def checksum(path: Path, algorithm: str) -> str:
    """Return the hexadecimal digest of a file's content."""
    # MD5 guards against accidents here, not attackers; without the flag, machines in FIPS mode refuse it.
    new = partial(hashlib.new, algorithm, usedforsecurity=False)
    with path.open("rb") as content:
        return hashlib.file_digest(content, new).hexdigest()


def download(file: RemoteFile, target: Path, timeout: float | int, passed: DataError | None = None) -> None:
    """Bring ``file`` to ``target`` from the first of its addresses that sends the right content.

    The caller holds the file's lock, so one name for the part that is on its way is enough, and what a killed
    process left there is overwritten. Raises the most telling of the addresses' errors if none of them works;
    ``passed`` is one from before.
    """
    part = target.with_name(f"{target.name}.part")
    failures = [] if passed is None else [passed]
    for url in file.urls:
        try:
            transfer(url, part, file, timeout)
            if wrong := mismatch(part, file):
                raise ChecksumError(f"{url} sent something else: {wrong}")
            os.replace(part, target)
            return
        except DataError as error:
            failures.append(error)
        finally:
            part.unlink(missing_ok=True)
    # Wrong content tells more than a broken transfer, and that more than no network.
    kinds = (ChecksumError, DownloadError, DataUnavailableError)
    telling = next((f for kind in kinds for f in failures if isinstance(f, kind)), None)
    reasons = "; ".join(map(str, failures)) or "it has no address"
    kind = DataUnavailableError if telling is None else type(telling)
    raise kind(
        f"{file} is not on this machine and could not be downloaded ({reasons}): {remedy(file, target)}"
    ) from telling


def transfer(url: str, part: Path, file: RemoteFile, timeout: float | int) -> None:
    """Write what ``url`` sends to ``part``; show progress if standard error is a terminal.

    Raises ``DataError`` for whatever a server, a proxy or an address can do wrong, and ``OSError`` where ``part``
    cannot be written.
    """
    limit, received = file.size or MAX_BYTES, 0
    bar = tqdm(desc=file.name, total=file.size, unit="B", unit_scale=True, leave=False, disable=None)
    with bar, closing(chunks(url, timeout)) as sent, part.open("wb") as content:
        for chunk in sent:
            received += len(chunk)
            if received > limit:
                raise DownloadError(f"{host_of(url)} sent more than the {limit:,} bytes that the file can have")
            content.write(chunk)
            bar.update(len(chunk))


def chunks(url: str, timeout: float | int) -> Generator[bytes, None, None]:
    """Yield what ``url`` sends, as it lies on the server; raise ``DataError`` for all that goes wrong on the way."""
    import requests

    # Some servers call a .gz file a compressed transfer; unpacked on the way it fails its checksum.
    headers = {"Accept-Encoding": "identity"}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=(min(timeout, CONNECT), timeout)) as response:
            response.raise_for_status()
            yield from response.raw.stream(CHUNK, decode_content=False)
    except Exception as error:  # requests lets errors of five libraries through; the next address shall be tried
        if isinstance(error, requests.TooManyRedirects) and error.response is not None:
            error.response.close()  # the last of the answers, which nobody else has
        raise in_words(url, error, timeout) from error


def in_words(url: str, error: Exception, timeout: float | int) -> DataError:
    """Return what went wrong on the way to ``url``: unavailable if it never came to a conversation with the server."""
    import requests
    from urllib3 import exceptions as urllib3

    host, first, why = host_of(url), cause_of(error), reason(error)
    if isinstance(error, requests.HTTPError):
        return DownloadError(f"{host} answered: {why}")
    if isinstance(error, requests.TooManyRedirects):
        return DownloadError(f"{host} redirects without an end")
    if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in str(error):
        return DataUnavailableError(f"the proxy on the way to {host} speaks SOCKS: install PySocks")
    if isinstance(first, ssl.SSLCertVerificationError):
        return DataUnavailableError(
            f"the certificate of {host} is not trusted ({why}); where a proxy signs with its own, "
            "set REQUESTS_CA_BUNDLE to a file with it"
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return DataUnavailableError(f"the proxy on the way to {host} refused or is not there: {why}")
    if isinstance(error, requests.exceptions.SSLError) or isinstance(first, ssl.SSLError):
        return DataUnavailableError(f"no secure connection to {host}: {why}")
    if isinstance(error, requests.ConnectTimeout):
        return DataUnavailableError(f"no connection to {host} within {min(timeout, CONNECT):g} s")
    if isinstance(error, requests.Timeout) or isinstance(first, urllib3.ReadTimeoutError | TimeoutError):
        return DownloadError(f"{host} was silent for {timeout:g} s")
    if isinstance(error, ValueError) and not isinstance(error, requests.exceptions.InvalidHeader):
        return DownloadError(f"{url}, or where it leads, is no address: {why}")
    if (
        type(error) is OSError
    ):  # such as a REQUESTS_CA_BUNDLE that is not there, which requests checks before it connects
        return DataUnavailableError(f"no connection to {host}: {why}")
    if error.args and isinstance(error.args[0], urllib3.MaxRetryError):
        return DataUnavailableError(f"no connection to {host}: {why}")
    return DownloadError(f"{host} broke off or sent what is no answer: {why}")


def host_of(url: str) -> str:
    """Return the host of an address for messages, without a password in it; the address itself where it has none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or url
    except ValueError:
        return url


def cause_of(error: BaseException) -> BaseException:
    """Return the error that began it: libraries wrap it in their own, as cause, reason or first argument."""
    seen: list[BaseException] = []
    while error not in seen:
        seen.append(error)
        inside = (error.__cause__, getattr(error, "reason", None), *error.args)
        error = next((e for e in inside if isinstance(e, BaseException) and e not in seen), error)
    return error


def reason(error: BaseException) -> str:
    """Return what began an error, in a few words on one line."""
    first = cause_of(error)
    words = getattr(first, "verify_message", None) or getattr(first, "strerror", None) or str(first)
    line = " ".join(str(words).split())
    return (line if len(line) <= 200 else f"{line[:199]}…") or type(first).__name__


@checked()
def whereabouts(file: RemoteFile) -> str:
    """Return in words where ``file`` lies on this machine, or how to get it; nothing is downloaded."""
    cached = cache_folder() / file.folder / file.name
    path = find_given(file)
    if path is None and cached.exists() and not mismatch(cached, file):
        path = cached
    return str(path) if path else f"{NOT_HERE}; it is downloaded when it is needed, or {remedy(file, cached)}"


def remedy(file: RemoteFile, target: Path) -> str:
    """Return what a reader without a network can do to get ``file``."""
    source = f"get it elsewhere from {file.urls[0]}" if file.urls else "get it elsewhere"
    given = data_folder()
    if given is not None:
        return f"{source} and put it into the folder {given / file.folder}"
    return (
        f"{source} and put it into the folder {target.parent}, "
        f"or set TUTORLIB_DATA to a folder that holds {file.folder}/{file.name}"
    )
