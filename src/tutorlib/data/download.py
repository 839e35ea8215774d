"""Files of public data sets: found on this machine or downloaded, and never used without a checksum.

``fetch`` looks for a file in this order:

1. the folder that the environment variable ``TUTORLIB_DATA`` names, as ``<folder>/<name>`` or as ``<name>``;
2. the cache: ``TUTORLIB_CACHE`` if set, else the system's cache folder of this user;
3. the file's addresses, one after the other; what arrives is checked and then moved into the cache at once.
"""

import hashlib
import os
import re
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
    re-packed part, and ``size`` is the official file's length in bytes, to tell people what they are about
    to download.

    Raises ``UsageError`` for a name with a path in it, and for a checksum that is missing or malformed.
    """

    name: str
    folder: str
    urls: tuple[str, ...]
    md5: str | None = None
    accepted: tuple[str, ...] = ()
    size: int | None = None

    def __post_init__(self) -> None:
        expect_fields(self, most={"size": 10**12})
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
        return f"{self.folder}/{self.name}" + (f" ({self.size / 1e6:.1f} MB)" if self.size else "")


@checked(positive=("timeout",))
def fetch(file: RemoteFile, *, timeout: float = TIMEOUT) -> Path:
    """Return the path of a checked copy of ``file``; download it into the cache if it is not on this machine.

    ``timeout`` is how many seconds a server may stay silent. Processes that ask for the same file at once
    wait for each other, so it is downloaded once. On failure nothing but a lock file is left behind.

    Raises ``ChecksumError`` for a file with other content than expected, ``DataUnavailableError`` where
    there is no network, ``DownloadError`` where a server (404, hang, broken transfer) or the cache folder
    fails, and ``UsageError`` for a ``TUTORLIB_DATA`` that is no folder.
    """
    if (given := find_given(file)) is not None:
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
            download(file, cached, timeout)
            return cached
    except OSError as error:
        raise DownloadError(
            f"{file} cannot be kept in the cache ({error}): set TUTORLIB_CACHE to a writable folder"
        ) from error


@checked()
def find_given(file: RemoteFile) -> Path | None:
    """Return the path of ``file`` in the folder ``TUTORLIB_DATA``, or ``None`` if it is not there.

    Raises ``ChecksumError`` if a file of that name is there with other content, and ``UsageError`` for a
    ``TUTORLIB_DATA`` that is no folder.
    """
    folder = data_folder()
    if folder is None:
        return None
    for path in (folder / file.folder / file.name, folder / file.name):
        if path.is_file():
            if wrong := mismatch(path, file):
                raise ChecksumError(f"{path} is not {file}: {wrong}")
            return path
    return None


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


def download(file: RemoteFile, target: Path, timeout: float) -> None:
    """Bring ``file`` to ``target`` from the first of its addresses that sends the right content.

    The caller holds the file's lock, so one name for the part that is on its way is enough, and what a killed
    process left there is overwritten. Raises the most telling of the addresses' errors if none of them works.
    """
    part = target.with_name(f"{target.name}.part")
    failures: list[DataError] = []
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
    kind = next((k for k in kinds if any(isinstance(f, k) for f in failures)), DataUnavailableError)
    reasons = "; ".join(map(str, failures)) or "it has no address"
    raise kind(f"{file} is not on this machine and could not be downloaded ({reasons}): {remedy(file, target)}")


def transfer(url: str, part: Path, file: RemoteFile, timeout: float) -> None:
    """Write what ``url`` sends to ``part``; show progress if standard error is a terminal."""
    import requests
    from urllib3.exceptions import MaxRetryError

    host = urlsplit(url).netloc
    # pooch asks whether the bar is true, which it is with a total above 0; then it sets the server's total.
    with tqdm(desc=file.name, total=file.size or 1, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        get = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=CHUNK,
            timeout=(min(timeout, CONNECT), timeout),
            # Some servers call a .gz file a compressed transfer; unpacked on the way it fails its checksum.
            headers={"Accept-Encoding": "identity"},
        )
        try:
            get(url, str(part), None)
        except requests.HTTPError as error:
            if error.response is not None:
                error.response.close()  # pooch leaves the connection open
            raise DownloadError(f"{host} answered: {error}") from error
        except requests.RequestException as error:
            if error.args and isinstance(error.args[0], MaxRetryError):  # it never came to a conversation
                raise DataUnavailableError(f"no connection to {host}") from error
            raise DownloadError(f"{host} broke off or was silent for {timeout:g} s") from error


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
