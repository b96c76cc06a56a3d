"""A real CUPS with a configuration of its own and a raw queue to a virtual printer."""

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from printers import CupsTransport, NotReady, produce
from printers.testing import VirtualPrinter, sample_badges

PATHS = "/usr/sbin:/usr/bin:/sbin:/bin"


class Address(str):
    """host:port of the server, and its log to show when something is wrong."""

    log: Path


def which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{PATHS}")


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    cupsd, lpadmin = which("cupsd"), which("lpadmin")
    if cupsd is None or lpadmin is None or which("lp") is None:
        pytest.skip("CUPS is not installed (cups, cups-client), so no raw queue can be tried")
    if not Path("/usr/lib/cups/backend/socket").exists():
        pytest.skip("CUPS has no socket backend here, so no raw queue can be tried")
    root = tmp_path_factory.mktemp("cups")
    for folder in ("etc", "spool", "cache", "state", "spool/tmp", "ssl"):
        (root / folder).mkdir()
    # Bound and not listened on while this fixture lives: nobody else is given the port, and cupsd (SO_REUSEADDR) may have it.
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port = place.getsockname()[1]
    user = getpass.getuser()
    (root / "cupsd.conf").write_text(
        f"Listen 127.0.0.1:{port}\nBrowsing Off\nDefaultAuthType None\nLogLevel info\nWebInterface No\nErrorPolicy retry-job\n"
        "JobRetryInterval 1\nPreserveJobFiles No\n<Location />\n Order allow,deny\n Allow all\n</Location>\n"
        "<Policy default>\n <Limit All>\n  Order allow,deny\n  Allow all\n </Limit>\n</Policy>\n"
    )
    (root / "cups-files.conf").write_text(
        f"ServerRoot {root}/etc\nRequestRoot {root}/spool\nCacheDir {root}/cache\nStateDir {root}/state\nTempDir {root}/spool/tmp\n"
        f"ServerKeychain {root}/ssl\nErrorLog {root}/error.log\nAccessLog {root}/access.log\nPageLog {root}/page.log\n"
        f"SystemGroup root {'lpadmin' if user == 'root' else ''}\nFileDevice Yes\n"
    )
    # Filters and backends run as lp; they only need to reach their folders.
    for path in (root, *root.parents):
        if path.is_relative_to("/tmp") and path.stat().st_uid == os.getuid() and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055)
    process = subprocess.Popen(
        [cupsd, "-f", "-c", str(root / "cupsd.conf"), "-s", str(root / "cups-files.conf")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            log = root / "error.log"
            pytest.skip(f"cupsd does not run here: {log.read_text()[-300:] if log.exists() else process.poll()}")
        found = Address(address)
        found.log = root / "error.log"
        yield found
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        place.close()


async def add_queue(server: str, name: str, device: str) -> None:
    lpadmin = which("lpadmin")
    assert lpadmin is not None
    process = await asyncio.create_subprocess_exec(
        lpadmin, "-h", server, "-p", name, "-E", "-v", device, "-m", "raw", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out + err).decode()


async def test_a_raw_queue_passes_a_badge_byte_for_byte(server: Address) -> None:
    data = produce(sample_badges()["escort"], "80mm", "epson-tm")
    async with VirtualPrinter() as printer:
        await add_queue(server, "frontdesk", f"socket://127.0.0.1:{printer.port}")
        transport = CupsTransport("frontdesk", server=server)
        assert (await transport.status()).ready
        receipt = await transport.send(data)
        assert not receipt.confirmed
        deadline = time.monotonic() + 120
        while printer.count == 0 and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert printer.count == 1, server.log.read_text()[-3000:]
        assert printer.printed[0].data == data


async def test_a_queue_that_is_stopped_or_not_there_is_said(server: str) -> None:
    async with VirtualPrinter() as printer:
        await add_queue(server, "library", f"socket://127.0.0.1:{printer.port}")
        disable = which("cupsdisable")
        assert disable is not None
        assert await (await asyncio.create_subprocess_exec(disable, "-h", server, "library")).wait() == 0
        transport = CupsTransport("library", server=server)
        assert (await transport.status()).words() == "offline"
        with pytest.raises(NotReady):
            await transport.send(b"x")
        assert printer.count == 0
    assert not (await CupsTransport("attic", server=server).status()).reachable


async def test_a_cups_that_is_not_there_is_said() -> None:
    if which("lpstat") is None:
        pytest.skip("CUPS' client programs are not installed")
    status = await CupsTransport("desk", server="127.0.0.1:1").status()
    assert not status.reachable and "CUPS" in status.words()


def test_a_queue_name_is_no_option_or_path() -> None:
    for name in ("-o raw", "../x", "a b", "", "x" * 200):
        with pytest.raises(ValueError, match="no name of a CUPS queue"):
            CupsTransport(name)
