import gc
import gzip
import hashlib
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pooch
import pytest

from tutorlib.data import (
    ChecksumError,
    DataError,
    DataUnavailableError,
    DownloadError,
    RemoteFile,
    download,
    fetch,
)
from tutorlib.lab.errors import TutorlibError, UsageError

CONTENT = bytes(range(256)) * 1024  # what the server of conftest.py sends
VARIANT = b"the first rows only"
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(VARIANT).hexdigest()


def remote(*urls: str, **changes) -> RemoteFile:
    usual = {"name": "rows.gz", "folder": "toys", "urls": urls, "md5": MD5, "size": len(CONTENT)}
    return RemoteFile(**usual | changes)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


# A server that works


def test_download_goes_to_the_cache_and_happens_once(server, cache):
    file = remote(f"{server.address}/good")
    path = fetch(file)
    assert path == cache / "toys" / "rows.gz"
    assert path.read_bytes() == CONTENT
    assert fetch(file) == path
    assert server.requests == {"/good": 1}
    assert leftovers(cache) == ["rows.gz"]


def test_no_progress_bar_off_a_terminal(server, cache, capfd):
    fetch(remote(f"{server.address}/good"))
    assert capfd.readouterr() == ("", "")


def test_progress_bar_on_a_terminal(server, cache, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch(remote(f"{server.address}/slow"))
    shown = capfd.readouterr().err
    assert "rows.gz" in shown
    assert "0.00/262k" in shown
    assert "25%" in shown  # the first of four chunks


def test_next_mirror_after_a_failing_one(server, cache):
    bad = ("missing", "corrupt", "truncated")
    path = fetch(remote(*(f"{server.address}/{kind}" for kind in (*bad, "good", "broken"))))
    assert path.read_bytes() == CONTENT
    assert server.requests == {"/missing": 1, "/corrupt": 1, "/truncated": 1, "/good": 1}
    assert leftovers(cache) == ["rows.gz"]


def test_file_arrives_as_it_lies_on_the_server(server, cache):
    """A .gz file that the server calls a compressed transfer is not unpacked on the way."""
    packed = gzip.compress(CONTENT, mtime=0)
    file = remote(f"{server.address}/zipped", md5=hashlib.md5(packed).hexdigest())
    assert fetch(file).read_bytes() == packed


def test_default_cache_is_the_systems(monkeypatch):
    monkeypatch.delenv("TUTORLIB_CACHE", raising=False)
    assert download.cache_folder() == Path(pooch.os_cache("tutorlib"))


# Servers that fail: a named error, and nothing in the cache


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("truncated", DownloadError, "broke off"),
        ("short", ChecksumError, f"/short sent something else: .* expected md5 {MD5}"),
        ("corrupt", ChecksumError, f"/corrupt sent something else: .* expected md5 {MD5}"),
        ("missing", DownloadError, "404"),
        ("broken", DownloadError, "500"),
        ("silent", DownloadError, "silent for 0.3 s"),
        ("stalled", DownloadError, "silent for 0.3 s"),
        ("endless", DownloadError, "sent more than the 262,144 bytes that the file can have"),
        ("toolong", DownloadError, "sent more than the 262,144 bytes that the file can have"),
        pytest.param(
            "twolengths",
            DownloadError,
            "broke off or sent what is no answer: .*5, 7",
            marks=pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
            id="twolengths",  # urllib3 forgets the answer that it refuses: its socket closes when it is collected
        ),
        ("badencoding", DownloadError, "broke off or sent what is no answer"),
        ("headers200", DownloadError, "broke off or sent what is no answer: got more than 100 headers"),
        ("nonsense", DownloadError, "broke off or sent what is no answer"),
        ("loop", DownloadError, r"127\.0\.0\.1:\d+ redirects without an end"),
        ("nowhere", DownloadError, "/nowhere, or where it leads, is no address"),
        ("elsewhere", DownloadError, "/elsewhere, or where it leads, is no address"),
        ("longname", DownloadError, "/longname, or where it leads, is no address"),
    ],
)
def test_failing_server(server, cache, kind, error, message):
    start = monotonic()
    with pytest.raises(error, match=message) as caught:
        fetch(remote(f"{server.address}/{kind}"), timeout=0.3 if "silent" in message else 30.0)
    assert monotonic() - start < 15
    assert type(caught.value) is error
    assert "toys/rows.gz (0.3 MB)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert leftovers(cache) == []
    server.requests.clear()
    path = fetch(remote(f"{server.address}/{kind}", f"{server.address}/good"), timeout=0.3)  # the next one is asked
    assert path.read_bytes() == CONTENT
    gc.collect()  # a socket that was left open shows here, and not in a later test


def test_a_length_that_is_no_number_does_no_harm(server, cache):
    assert fetch(remote(f"{server.address}/oddlength")).read_bytes() == CONTENT


def test_a_server_that_never_ends_is_left_early(server, cache):
    with pytest.raises(DownloadError, match="more than the 1,000 bytes"):
        fetch(remote(f"{server.address}/endless", size=1000))
    assert server.sent < 50e6  # what fits into the buffers of two sockets


def test_a_file_of_unknown_size_has_a_limit(server, cache, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 1_000_000)
    with pytest.raises(DownloadError, match="more than the 1,000,000 bytes"):
        fetch(remote(f"{server.address}/endless", size=None))


@pytest.mark.parametrize(
    "url", ["rows.gz", "http://", "http://[half", "ftp://files.test/rows.gz", "http://a b/rows.gz"]
)
def test_an_address_that_is_none_is_passed_over(server, cache, url):
    with pytest.raises(DataError) as caught:
        fetch(remote(url))
    assert url in str(caught.value)
    assert fetch(remote(url, f"{server.address}/good")).read_bytes() == CONTENT


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e300, True])
def test_bad_timeout(cache, timeout):
    with pytest.raises(
        UsageError, match="timeout=.*expected (a positive number|seconds, more than 0 and at most 86400)"
    ):
        fetch(remote("http://127.0.0.1/rows.gz"), timeout=timeout)


# What stands between here and a server


def chain(error: BaseException) -> list[str]:
    """Return the names of an error's causes."""
    return [] if error.__cause__ is None else [type(error.__cause__).__name__, *chain(error.__cause__)]


def test_a_certificate_of_ones_own_is_named(secure, cache, monkeypatch, tmp_path):
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(DataUnavailableError) as caught:
        fetch(remote(f"{secure.address}/good"))
    host = secure.address.removeprefix("https://")
    assert f"the certificate of {host} is not trusted (self-signed certificate); where a proxy" in str(caught.value)
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)
    assert "SSLError" in chain(caught.value)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "own.pem"))  # as the sentence says
    assert fetch(remote(f"{secure.address}/good")).read_bytes() == CONTENT


def test_a_bundle_of_certificates_that_is_not_there_is_named(secure, cache, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "typo.pem"))
    with pytest.raises(DataUnavailableError, match=r"CA certificate bundle.*typo\.pem") as caught:
        fetch(remote(f"{secure.address}/good"))
    assert "TUTORLIB_CACHE" not in str(caught.value)
    assert "OSError" in chain(caught.value)


@pytest.mark.parametrize(
    ("proxy", "message", "cause"),
    [
        (
            "http://me:secret@127.0.0.1:{port}",
            "the proxy on the way to files.test .*: Connection refused",
            "ProxyError",
        ),
        (
            "socks5://127.0.0.1:{port}",
            "the proxy on the way to files.test speaks SOCKS: install PySocks",
            "InvalidSchema",
        ),
    ],
)
def test_a_proxy_that_is_not_there_is_named(cache, monkeypatch, proxy, message, cause):
    for variable in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "http_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HTTP_PROXY", proxy.format(port=closed_port()))
    with pytest.raises(DataUnavailableError, match=message) as caught:
        fetch(remote("http://files.test/rows.gz"))
    assert "secret" not in str(caught.value)
    assert cause in chain(caught.value)


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_no_network_says_what_to_do(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url = f"http://127.0.0.1:{closed_port()}/rows.gz"
    with pytest.raises(DataUnavailableError) as caught:
        fetch(remote(url))
    message = str(caught.value)
    assert "\n" not in message
    assert f"no connection to {url.split('/')[2]}: Connection refused" in message
    assert f"get it elsewhere from {url} and put it into the folder {cache / 'toys'}" in message
    assert "set TUTORLIB_DATA to a folder that holds toys/rows.gz" in message
    assert leftovers(cache) == []

    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path))
    with pytest.raises(DataUnavailableError, match="put it into the folder") as caught:
        fetch(remote(url))
    assert str(caught.value).endswith(f"put it into the folder {tmp_path / 'toys'}")

    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "rows.gz").write_bytes(CONTENT)
    assert fetch(remote(url)) == tmp_path / "toys" / "rows.gz"


def test_no_address(cache):
    with pytest.raises(DataUnavailableError, match="it has no address"):
        fetch(remote())


def test_most_telling_failure_wins(server, cache):
    refused = f"http://127.0.0.1:{closed_port()}/rows.gz"
    with pytest.raises(DownloadError, match=r"no connection.*404"):
        fetch(remote(refused, f"{server.address}/missing"))
    with pytest.raises(ChecksumError, match=r"404.*expected md5"):
        fetch(remote(f"{server.address}/missing", f"{server.address}/corrupt"))


def test_errors_are_one_family():
    for error in (DownloadError, ChecksumError, DataUnavailableError):
        assert issubclass(error, DataError)
        assert issubclass(error, TutorlibError)


def test_cache_that_cannot_be_written(server, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="set TUTORLIB_CACHE to a writable folder"):
        fetch(remote(f"{server.address}/good"))


def test_interrupt_leaves_nothing(server, cache, monkeypatch):
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "mismatch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(remote(f"{server.address}/good"))
    assert server.requests["/good"] == 1
    assert leftovers(cache) == []


# The cache


def test_damaged_cached_file_is_fetched_again(server, cache):
    file = remote(f"{server.address}/good")
    path = fetch(file)
    path.write_bytes(CONTENT[:-1])
    assert fetch(file).read_bytes() == CONTENT
    assert server.requests == {"/good": 2}


def test_damaged_cached_file_is_not_left_when_it_cannot_be_fetched(server, cache):
    (cache / "toys").mkdir(parents=True)
    (cache / "toys" / "rows.gz").write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError):
        fetch(remote(f"{server.address}/missing"))
    assert leftovers(cache) == []


def test_part_of_a_killed_download_is_overwritten(server, cache):
    (cache / "toys").mkdir(parents=True)
    (cache / "toys" / "rows.gz.part").write_bytes(CONTENT + b"more")
    assert fetch(remote(f"{server.address}/good")).read_bytes() == CONTENT
    assert leftovers(cache) == ["rows.gz"]


def test_verified_file_is_not_read_again_until_it_changes(cache, monkeypatch):
    path = cache / "toys" / "rows.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    read = []
    checksum = download.checksum
    monkeypatch.setattr(download, "checksum", lambda *args: read.append(args) or checksum(*args))
    fetch(remote())
    fetch(remote())
    assert len(read) == 1
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataUnavailableError):
        fetch(remote())


def test_verified_for_one_file_is_not_verified_for_another(cache):
    path = cache / "toys" / "rows.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    fetch(remote())
    with pytest.raises(DataUnavailableError):
        fetch(remote(md5="0" * 32))


def test_threads_download_once(server, cache):
    file = remote(f"{server.address}/slow")
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(fetch, [file] * 4))
    assert set(paths) == {cache / "toys" / "rows.gz"}
    assert paths[0].read_bytes() == CONTENT
    assert server.requests == {"/slow": 1}


def test_processes_download_once(server, cache):
    url = f"{server.address}/slow"
    program = f"""
from tutorlib.data.download import RemoteFile, fetch
input("ready")
print(fetch(RemoteFile("rows.gz", "toys", ({url!r},), {MD5!r})))
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as other:
        assert other.stdout.read(5) == "ready"  # its slow imports shall not keep the two from meeting
        other.stdin.write("go\n")
        other.stdin.flush()
        assert fetch(remote(url)) == cache / "toys" / "rows.gz"
        assert other.stdout.read().strip() == str(cache / "toys" / "rows.gz")
    assert server.requests == {"/slow": 1}
    assert leftovers(cache) == ["rows.gz"]


# The folder TUTORLIB_DATA


@pytest.mark.parametrize("place", ["toys/rows.gz", "rows.gz"])
@pytest.mark.parametrize("content", [CONTENT, VARIANT])
def test_given_file_is_used(cache, tmp_path, monkeypatch, place, content):
    path = tmp_path / "given" / place
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path / "given"))
    assert fetch(remote(accepted=(SHA256,))) == path
    assert not cache.exists()


def test_given_file_is_never_used_unchecked(server, cache, tmp_path, monkeypatch):
    path = tmp_path / "given" / "toys" / "rows.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"else")
    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path / "given"))
    with pytest.raises(ChecksumError) as caught:
        fetch(remote(f"{server.address}/good", accepted=(SHA256,)))
    message = str(caught.value)
    assert str(path) in message
    assert hashlib.md5(b"else").hexdigest() in message
    assert hashlib.sha256(b"else").hexdigest() in message
    assert f"expected md5 {MD5} or sha256 {SHA256}" in message
    assert path.read_bytes() == b"else"  # another's folder is not ours to tidy
    assert not server.requests


def test_another_sets_file_of_the_same_name_is_passed_over(server, cache, tmp_path, monkeypatch):
    """MNIST and Fashion-MNIST call their files the same, and ``TUTORLIB_DATA`` may be the folder of one of them."""
    path = tmp_path / "given" / "rows.gz"
    path.parent.mkdir()
    path.write_bytes(b"another set")
    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path / "given"))
    assert download.find_given(remote()) is None
    with pytest.raises(ChecksumError) as caught:  # where it ends badly, it is told
        fetch(remote(f"http://127.0.0.1:{closed_port()}/rows.gz"))
    assert f"{path} is not toys/rows.gz" in str(caught.value)
    assert "no connection" in str(caught.value)
    file = remote(f"{server.address}/good")
    assert fetch(file) == cache / "toys" / "rows.gz"
    assert fetch(file) == cache / "toys" / "rows.gz"
    assert server.requests == {"/good": 1}
    assert path.read_bytes() == b"another set"  # another's folder is not ours to tidy


def test_given_file_that_cannot_be_read(cache, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "rows.gz").write_bytes(CONTENT)
    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path))
    monkeypatch.setattr(download, "mismatch", refuse)
    with pytest.raises(DataError, match=r"rows\.gz cannot be read \(Permission denied\): check TUTORLIB_DATA"):
        fetch(remote())


def test_folder_of_the_set_comes_first(cache, tmp_path, monkeypatch):
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "rows.gz").write_bytes(CONTENT)
    (tmp_path / "rows.gz").write_bytes(b"another set's file of the same name")
    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path))
    assert fetch(remote()) == tmp_path / "toys" / "rows.gz"


def test_file_that_is_not_given_is_downloaded(server, cache, tmp_path, monkeypatch):
    (tmp_path / "given").mkdir()
    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path / "given"))
    assert fetch(remote(f"{server.address}/good")) == cache / "toys" / "rows.gz"


def test_data_folder_that_is_not_there(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path / "typo"))
    with pytest.raises(UsageError, match=r"TUTORLIB_DATA=.*typo.*an existing folder"):
        fetch(remote())


def test_empty_data_folder_is_none(cache, tmp_path, monkeypatch):
    (tmp_path / "rows.gz").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTORLIB_DATA", "")
    with pytest.raises(DataUnavailableError):
        fetch(remote())


def test_file_without_md5_is_known_by_its_sha256(cache, tmp_path, monkeypatch):
    (tmp_path / "rows.gz").write_bytes(VARIANT)
    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path))
    assert fetch(remote(md5=None, accepted=(SHA256,))) == tmp_path / "rows.gz"
    with pytest.raises(ChecksumError, match=f"expected sha256 {'0' * 64}\\)"):
        fetch(remote(md5=None, accepted=("0" * 64,)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../rows.gz"}, "name='../rows.gz'"),
        ({"folder": ".."}, "folder='..'"),
        ({"folder": ""}, "folder=''"),
        ({"md5": None}, "md5=None: expected a checksum"),
        ({"md5": MD5[:-1]}, "32 hexadecimal digits"),
        ({"md5": MD5.upper()}, "32 hexadecimal digits"),
        ({"accepted": (SHA256, MD5)}, "64 hexadecimal digits"),
    ],
)
def test_bad_remote_file(changes, message):
    with pytest.raises(UsageError, match=message):
        remote(**changes)
