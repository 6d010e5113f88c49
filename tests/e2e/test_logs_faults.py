"""Real receiver and real shipper under faults: what was written is stored, each line once."""

import gzip
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bluestone.host.daemons import Daemon
from bluestone.logs.query.asked import Query
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.service import Receiver, receiver_command
from bluestone.logs.ship.shipper.connection import Receiver as Connection
from bluestone.model.problem import Problem
from logs_setting import Setting, chances, identity, tls_proxy, wait_for

pytestmark = pytest.mark.e2e
HELLO = gzip.compress(b'{"__CURSOR":"a","MESSAGE":"hello"}')


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    setting = Setting(tmp_path)
    yield setting
    setting.close()


def receiver_pid(setting: Setting) -> int:
    pid = Daemon("receiver", setting.directory / "run" / "log-receiver.pid", Path(os.devnull)).pid()
    assert pid is not None
    return pid


def test_lines_arrive_and_the_last_ones_before_the_end(setting: Setting) -> None:
    setting.receiver.ensure()
    shipper = setting.start_shipper()
    setting.journal.write(1000)
    wait_for(lambda: setting.stored() == 1000)
    setting.journal.write(500)
    shipper.send_signal(signal.SIGTERM)
    assert shipper.wait(20) == 0
    setting.assert_each_line_once()
    assert setting.archive.said_goodbye("web-1")


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_of_the_receiver_loses_and_repeats_nothing(setting: Setting, seed: int) -> None:
    setting.receiver.ensure()
    setting.start_shipper()
    writing = setting.journal.write_steadily(30_000, per_second=6_000)
    for wait in chances(seed, 8, 0.05, 0.5):
        time.sleep(wait)
        before = setting.stored()
        os.kill(receiver_pid(setting), signal.SIGKILL)
        setting.receiver.ensure()
        assert setting.stored() >= before
    writing.join()
    wait_for(lambda: setting.stored() == setting.journal.count)
    setting.assert_each_line_once()


@pytest.mark.parametrize("seed", [3, 4])
def test_kill_9_of_the_shipper_loses_and_repeats_nothing(setting: Setting, seed: int) -> None:
    setting.receiver.ensure()
    shipper = setting.start_shipper()
    writing = setting.journal.write_steadily(20_000, per_second=6_000)
    for wait in chances(seed, 8, 0.05, 0.5):
        time.sleep(wait)
        shipper.kill()
        shipper.wait()
        shipper = setting.start_shipper()
    writing.join()
    wait_for(lambda: setting.stored() == setting.journal.count)
    shipper.send_signal(signal.SIGTERM)
    assert shipper.wait(20) == 0
    setting.assert_each_line_once()
    assert setting.archive.said_goodbye("web-1")


def test_what_was_acknowledged_before_a_kill_9_is_there_after_it(setting: Setting) -> None:
    """Counts acknowledgements itself, since the shipper would send again what was lost."""
    setting.receiver.ensure()
    token = (setting.directory / "server" / "token").read_text().strip()
    acknowledged: list[int] = []

    def send() -> None:
        connection = Connection(f"unix:{setting.receiver.socket}", token)
        try:
            for number in range(100_000):
                body = json.dumps({"__CURSOR": f"c{number}", "MESSAGE": f"line {number}"}).encode()
                if connection.post(body, 10) == 200:
                    acknowledged.append(number)
        except OSError:
            return

    sender = threading.Thread(target=send)
    sender.start()
    wait_for(lambda: len(acknowledged) > 200)
    os.kill(receiver_pid(setting), signal.SIGKILL)
    sender.join(20)
    shown = [record.message for record in setting.archive.search(Query())]
    assert len(shown) == len(set(shown))
    assert {f"line {number}" for number in acknowledged} <= set(shown)


def test_a_receiver_that_is_down_for_a_while_gets_everything_later(setting: Setting) -> None:
    setting.start_shipper()
    setting.journal.write(5_000)
    wait_for(lambda: b"cannot be reached" in (setting.directory / "server" / "said").read_bytes())
    setting.receiver.ensure()
    wait_for(lambda: setting.stored() == 5_000)
    setting.receiver.stop()
    setting.journal.write(5_000)
    setting.receiver.ensure()
    wait_for(lambda: setting.stored() == 10_000)
    setting.assert_each_line_once()


def test_a_shipper_that_is_stopped_without_a_receiver_ends_all_the_same(setting: Setting) -> None:
    shipper = setting.start_shipper()
    setting.journal.write(10)
    wait_for(lambda: b"cannot be reached" in (setting.directory / "server" / "said").read_bytes())
    shipper.send_signal(signal.SIGTERM)
    assert shipper.wait(20) == 1
    assert b"not acknowledged in time" in (setting.directory / "server" / "said").read_bytes()


def test_a_revoked_server_stores_nothing_more_and_keeps_its_lines(setting: Setting) -> None:
    setting.receiver.ensure()
    setting.start_shipper()
    setting.journal.write(100)
    wait_for(lambda: setting.stored() == 100)
    Credentials(setting.store).revoke("web-1")
    setting.journal.write(100)
    wait_for(lambda: b"answers 401" in (setting.directory / "server" / "said").read_bytes())
    assert setting.stored() == 100


def test_sigterm_lets_the_receiver_acknowledge_what_it_has(setting: Setting) -> None:
    setting.receiver.ensure()
    setting.start_shipper()
    writing = setting.journal.write_steadily(10_000, per_second=5_000)
    wait_for(lambda: setting.stored() > 1_000)
    setting.receiver.stop()
    assert b"Traceback" not in (setting.directory / "run" / "log-receiver.out").read_bytes()
    writing.join()
    setting.receiver.ensure()
    wait_for(lambda: setting.stored() == setting.journal.count)
    setting.assert_each_line_once()


def test_a_second_receiver_for_a_store_says_so_and_ends(setting: Setting) -> None:
    setting.receiver.ensure()
    command = receiver_command(setting.store, setting.directory / "other.sock")
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert f"another receiver (process {receiver_pid(setting)}) already serves" in second.stderr
    assert "Traceback" not in second.stderr
    assert setting.receiver.answers()


def test_any_number_of_commands_start_one_receiver(setting: Setting) -> None:
    def ensure() -> None:
        Receiver(setting.store, setting.directory / "run").ensure()

    with ThreadPoolExecutor(6) as pool:
        for call in [pool.submit(ensure) for _ in range(12)]:
            call.result(60)
    first = receiver_pid(setting)
    setting.receiver.ensure()
    assert receiver_pid(setting) == first
    setting.receiver.stop()
    setting.receiver.stop()
    assert not setting.receiver.answers()
    assert not setting.receiver.socket.exists()


def test_a_receiver_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "lines.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(Problem, match="cannot open the log store"):
        Receiver(tmp_path / "store", tmp_path / "run").ensure()


def test_a_receiver_that_hangs_is_replaced(setting: Setting) -> None:
    setting.receiver.ensure()
    hung = receiver_pid(setting)
    os.kill(hung, signal.SIGSTOP)
    setting.receiver.ensure()
    assert receiver_pid(setting) != hung


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_acknowledges_nothing_and_heals(tmp_path: Path) -> None:
    small = tmp_path / "store"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "bluestone-test", str(small)], check=True)
    try:
        setting = Setting(tmp_path)
        try:
            setting.receiver.ensure()
            filler = small / "filler"
            filler.write_bytes(b"x" * (2 << 20))
            setting.start_shipper()
            setting.journal.write(10_000)
            wait_for(lambda: b"answers 507" in (tmp_path / "server" / "said").read_bytes())
            assert setting.stored() < 10_000
            assert setting.receiver.answers()
            filler.unlink()
            subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
            wait_for(lambda: setting.stored() == 10_000)
            setting.assert_each_line_once()
        finally:
            setting.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_many_servers_at_once(setting: Setting) -> None:
    """40 servers write at the same time; each one's lines are all there, and are its own."""
    setting.receiver.ensure()
    credentials = Credentials(setting.store)
    tokens = {f"api-{number}": credentials.mint(identity(f"api-{number}")) for number in range(40)}

    def send(server: str, token: str) -> None:
        connection = Connection(f"unix:{setting.receiver.socket}", token)
        for batch in range(10):
            lines = [{"__CURSOR": f"c{batch}.{n}", "MESSAGE": f"{server} {batch}.{n}"} for n in range(20)]
            while connection.post("\n".join(map(json.dumps, lines)).encode(), 30) != 200:
                time.sleep(0.05)
        connection.close()

    with ThreadPoolExecutor(40) as pool:
        for call in [pool.submit(send, server, token) for server, token in tokens.items()]:
            call.result(120)
    for server in tokens:
        shown = [record.message for record in setting.archive.search(Query(server=server))]
        assert sorted(shown) == sorted(f"{server} {batch}.{n}" for batch in range(10) for n in range(20))


def test_lines_travel_through_tls_to_a_receiver_that_is_known(setting: Setting, tmp_path: Path) -> None:
    """https:// as behind a proxy that ends TLS; a certificate of somebody else is refused."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    make += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    setting.receiver.ensure()
    token = (setting.directory / "server" / "token").read_text().strip()
    with tls_proxy(certificate, key, setting.receiver.socket) as port:
        endpoint = f"https://127.0.0.1:{port}"
        assert Connection(endpoint, token, str(certificate)).post(HELLO, 20) == 200
        with pytest.raises(OSError, match="certificate"):
            Connection(endpoint, token).post(b"x", 20)
    assert [record.message for record in setting.archive.search(Query())] == ["hello"]
