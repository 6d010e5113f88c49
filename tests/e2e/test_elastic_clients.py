"""Real clients of Elasticsearch write to the store: rsyslog, and the client for Python."""

import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from elasticsearch import Elasticsearch, helpers
from starlette.applications import Starlette

from bluestone.logs.ingest.door import Rejection
from bluestone.logs.ingest.elasticsearch import routes
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.query.language import parse_query
from ingest_door import Door
from logs_setting import wait_for

pytestmark = pytest.mark.e2e

RSYSLOG = """
module(load="imfile" PollingInterval="1")
module(load="omelasticsearch")
input(type="imfile" File="{file}" Tag="app:" ruleset="ship" reopenOnTruncate="on")
template(name="line" type="list" option.json="on") {{
    constant(value="{{\\"message\\":\\"") property(name="msg")
    constant(value="\\",\\"program\\":\\"") property(name="programname")
    constant(value="\\",\\"@timestamp\\":\\"") property(name="timereported" dateFormat="rfc3339")
    constant(value="\\"}}")
}}
template(name="id" type="string" string="%$.id%")
ruleset(name="again") {{
    if $.omes!status == 200 or $.omes!status == 201 or $.omes!status == 409 then {{ stop }}
    set $.id = $.omes!_id;
    action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" bulkmode="on" searchIndex="logs"
           searchType="" uid="rsyslog" pwd="{token}" template="line" writeoperation="create" bulkid="id" dynbulkid="on"
           retryfailures="on" retryruleset="again" action.resumeRetryCount="-1" action.resumeInterval="1")
}}
ruleset(name="ship") {{
    set $.id = $uuid;
    action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" bulkmode="on" searchIndex="logs"
           searchType="" uid="rsyslog" pwd="{token}" template="line" writeoperation="create" bulkid="id" dynbulkid="on"
           retryfailures="on" retryruleset="again" action.resumeRetryCount="-1" action.resumeInterval="1"
           queue.type="LinkedList" queue.size="100000" queue.dequeueBatchSize="200")
}}
"""


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path / "store")


@contextmanager
def served(door: Door) -> Iterator[int]:
    """The routes at a loopback port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=list(routes(door))), log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)


def test_the_client_for_python_writes_and_writes_again(door: Door, tmp_path: Path) -> None:
    with served(door) as port:
        client = Elasticsearch(f"http://127.0.0.1:{port}", basic_auth=("app", door.token), http_compress=True)
        assert client.info()["version"]["number"].startswith("8.")
        documents = [
            {"_index": "logs", "_id": str(n), "message": f"event {n}", "@timestamp": 1.79e12 + n} for n in range(700)
        ]
        for _ in range(2):
            assert helpers.bulk(client, documents, chunk_size=200)[0] == 700
        door.trouble = Rejection(507, "the disk is full", "later")
        timer = threading.Timer(1.0, lambda: setattr(door, "trouble", None))
        timer.start()
        more = ({"_index": "logs", "_id": f"late-{n}", "message": "late"} for n in range(50))
        assert helpers.bulk(client, more, max_retries=8, initial_backoff=0.3)[0] == 50
        client.close()
    archive = Archive(tmp_path / "store")
    shown = Counter(record.message for record in archive.search(Query()))
    assert shown == Counter([*(f"event {n}" for n in range(700)), *["late"] * 50])
    assert len(list(archive.search(Query(where=parse_query("_index:logs AND server:filebeat"))))) == 750
    archive.close()


def test_rsyslog_loses_and_repeats_nothing_while_the_store_is_in_trouble(door: Door, tmp_path: Path) -> None:
    assert shutil.which("rsyslogd"), "apt-get install rsyslog rsyslog-elasticsearch"
    file = tmp_path / "app.log"
    file.write_text("".join(f"line-{number}\n" for number in range(500)))
    door.trouble = Rejection(503, "not now", "later")
    with served(door) as port:
        configuration = tmp_path / "rsyslog.conf"
        configuration.write_text(RSYSLOG.format(file=file, port=port, token=door.token))
        work = tmp_path / "work"
        work.mkdir()
        command = ["rsyslogd", "-n", "-f", str(configuration), "-i", str(tmp_path / "pid")]
        said = (tmp_path / "said").open("w")
        rsyslog = subprocess.Popen(command, cwd=work, stdout=said, stderr=said)
        try:
            wait_for(lambda: door.refused > 2)
            door.trouble = None
            with file.open("a") as more:
                more.write("".join(f"line-{number}\n" for number in range(500, 1000)))
            archive = Archive(tmp_path / "store")
            wait_for(lambda: len(list(archive.search(Query(limit=2000)))) >= 1000)
        finally:
            rsyslog.terminate()
            rsyslog.wait(30)
            said.close()
    shown = Counter(record.message.strip() for record in archive.search(Query()))
    assert shown == Counter(f"line-{number}" for number in range(1000))
    archive.close()
