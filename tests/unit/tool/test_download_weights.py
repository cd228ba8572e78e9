"""The download of published weights, against a server on this machine."""

import contextlib
import errno
import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import Mock

import numpy as np
import pytest
import yaml

import download_weights
from poseras.downloading import download
from poseras.weights_manifest import read_manifest

CONTENT = np.random.default_rng(0).integers(0, 256, 700_000, np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers every address with `content`, in the ways that its attributes say."""

    daemon_threads = True
    content = CONTENT
    content_type = "application/octet-stream"
    etag = '"one"'
    knows_ranges = True
    cut_at = None
    status = 200
    location = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges = []

    def handle_error(self, request, client_address):
        """Clients hang up where they do not want the rest."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *words):
        """Keep the output of the tests quiet."""

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.ranges.append(wanted)
        if server.location or server.status != 200:
            self.send_response(302 if server.location else server.status)
            if server.location:
                self.send_header("Location", server.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, total = 0, len(server.content)
        same = self.headers.get("If-Range") in (None, server.etag)
        if wanted and server.knows_ranges and same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", server.content_type)
        self.send_header("Content-Length", str(total - start))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        end = total if server.cut_at is None else server.cut_at
        with contextlib.suppress(ConnectionError):
            self.wfile.write(server.content[start:end])


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def write_manifest(tmp_path):
    def write(url, **values):
        row = {
            "name": "some_network",
            "file": "network.pth",
            "url": url,
            "bytes": len(CONTENT),
            "hash": f"sha256:{SHA256[:8]}",
            "license": "MIT",
            "system": "simple_baselines",
            "row": "ResNet-50",
            "folder": "output/model_dump/COCO",
            "use": "train.initial_weights=imagenet",
            **values,
        }
        row = {key: value for key, value in row.items() if value is not None}
        path = tmp_path / "manifest.yaml"
        path.write_text(yaml.safe_dump({"files": [row]}))
        return path

    return write


@pytest.fixture
def make_file(server, write_manifest):
    """The row of a manifest that leads to the server."""

    def make(**values):
        values = {"url": f"http://127.0.0.1:{server.server_port}/network.pth", **values}
        return read_manifest(write_manifest(**values))["some_network"][0]

    return make


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_checked_and_nothing_else_is_left(make_file, tmp_path):
    seen = []
    folder = tmp_path / "new" / "folder"
    done = download(make_file(), folder, progress=lambda *numbers: seen.append(numbers))
    assert done.path.read_bytes() == CONTENT and names_in(folder) == ["network.pth"]
    assert done.checked == ("size", "hash") and not done.was_there and done.sha256 == SHA256
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and len(seen) > 1


def test_a_broken_download_goes_on_where_it_stopped(make_file, server, tmp_path):
    server.cut_at = 300_000
    with pytest.raises(OSError, match="300000 of 700000 bytes came. The same command goes on"):
        download(make_file(), tmp_path / "d")
    assert names_in(tmp_path / "d") == ["network.pth.part", "network.pth.part.etag"]
    server.cut_at = None
    assert download(make_file(), tmp_path / "d").path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert names_in(tmp_path / "d") == ["network.pth"]


def test_a_server_without_ranges_sends_everything_again(make_file, server, tmp_path):
    (tmp_path / "network.pth.part").write_bytes(b"x" * 1000)
    server.knows_ranges = False
    assert download(make_file(), tmp_path).path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_file_that_was_exchanged_meanwhile_is_not_mixed_with_the_old_one(
    make_file, server, tmp_path
):
    file = make_file(bytes="unverified", hash="unverified")
    server.cut_at = 300_000
    with pytest.raises(OSError, match="300000 of 700000"):
        download(file, tmp_path)
    server.cut_at, server.etag, server.content = None, '"two"', CONTENT[::-1]
    assert download(file, tmp_path).path.read_bytes() == CONTENT[::-1]


def test_a_part_that_nothing_identifies_is_begun_anew(make_file, server, tmp_path):
    (tmp_path / "network.pth.part").write_bytes(b"x" * 1000)
    file = make_file(hash="unverified")
    assert download(file, tmp_path).path.read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_part_that_is_complete_is_checked_and_moved(make_file, server, tmp_path):
    (tmp_path / "network.pth.part").write_bytes(CONTENT)
    assert download(make_file(), tmp_path).path.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_wrong_hash_is_refused_and_nothing_is_kept(make_file, server, tmp_path):
    server.content = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    with pytest.raises(ValueError, match=f"must have the sha256 {SHA256[:8]}"):
        download(make_file(), tmp_path / "d")
    assert names_in(tmp_path / "d") == []


def test_md5_is_compared_where_the_publisher_gives_that(make_file, tmp_path):
    digest = hashlib.md5(CONTENT).hexdigest()
    assert download(make_file(hash=f"md5:{digest}"), tmp_path / "a").sha256 == SHA256
    with pytest.raises(ValueError, match="must have the md5 00000000"):
        download(make_file(hash="md5:" + "0" * 32), tmp_path / "b")


def test_another_size_is_refused_before_anything_is_written(make_file, tmp_path):
    with pytest.raises(ValueError, match="must have 5 bytes. The server offers 700000"):
        download(make_file(bytes=5), tmp_path / "d")
    assert names_in(tmp_path / "d") == []


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_page_in_html_is_refused_by_its_type_and_by_its_bytes(
    make_file, server, tmp_path, content_type
):
    server.content, server.content_type = b"\n <!DOCTYPE html><html>sign in</html>", content_type
    file = make_file(bytes="unverified", hash="unverified")
    with pytest.raises(ValueError, match="answers with a page in HTML, not with network.pth"):
        download(file, tmp_path / "d")
    assert names_in(tmp_path / "d") == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_error_of_the_server_is_one_line(make_file, server, tmp_path, status):
    server.status = status
    with pytest.raises(OSError, match=f"127.0.0.1 answers {status} "):
        download(make_file(), tmp_path)


def test_a_redirect_to_an_unencrypted_host_is_refused(make_file, server, tmp_path):
    server.location = "http://example.invalid/network.pth"
    with pytest.raises(ValueError, match="must begin with https://"):
        download(make_file(), tmp_path)


def test_a_port_where_nobody_listens_is_one_line(make_file, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/network.pth"
    with pytest.raises(OSError, match="127.0.0.1 cannot be reached.*fetch http://127"):
        download(make_file(url=url), tmp_path)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(make_file, server, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        full = OSError(errno.ENOSPC, "No space left on device")
        patch.setattr("poseras.downloading.os.fsync", Mock(side_effect=full))
        with pytest.raises(OSError, match=r"Cannot write .*\.part: No space left.*goes on where"):
            download(make_file(), tmp_path)
    assert download(make_file(), tmp_path).path.read_bytes() == CONTENT


def test_a_file_that_is_there_is_checked_and_not_fetched(make_file, server, tmp_path):
    path = tmp_path / "network.pth"
    path.write_bytes(CONTENT)
    assert download(make_file(), tmp_path).was_there and server.ranges == []
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match="has 699999 bytes, the published file has 700000"):
        download(make_file(), tmp_path)
    path.write_bytes(bytes(len(CONTENT)))
    with pytest.raises(ValueError, match="Move it away"):
        download(make_file(), tmp_path)
    assert path.exists()


def pack(names, kind):
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as packed:
            for name, content in names.items():
                packed.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_one_file_is_taken_out_of_an_archive_wherever_it_says_that_it_lies(
    make_file, server, tmp_path, kind
):
    server.content = pack({"../../net.ckpt": CONTENT, "README": b"read me"}, kind)
    folder = tmp_path / "a" / "b" / "c"
    file = make_file(file="net.ckpt", member="net.ckpt", bytes="unverified", hash="unverified")
    assert download(file, folder).path.read_bytes() == CONTENT
    assert names_in(folder) == ["net.ckpt"] and not (tmp_path / "a" / "net.ckpt").exists()
    assert download(file, folder).was_there


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pack({"other.ckpt": b"1"}, "zip"), "must hold one file net.ckpt. It holds other.ckpt"),
        (b"no archive at all", "must be a tar or zip archive"),
    ],
)
def test_an_archive_without_the_file_is_refused(make_file, server, tmp_path, content, message):
    server.content = content
    file = make_file(file="net.ckpt", member="net.ckpt", bytes="unverified", hash="unverified")
    with pytest.raises(ValueError, match=message):
        download(file, tmp_path / "d")
    assert names_in(tmp_path / "d") == []


@pytest.fixture
def run(server, write_manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(download_weights, "ROOT", tmp_path)

    def run(*arguments, **values):
        values = {"url": f"http://127.0.0.1:{server.server_port}/network.pth", **values}
        manifest = write_manifest(**values)
        return download_weights.main(["--manifest", str(manifest), *map(str, arguments)])

    return run


def test_the_program_puts_a_file_where_test_looks_and_says_how_to_use_it(run, tmp_path, capsys):
    assert run("some_network", use=None, config="a_config") == 0
    path = tmp_path / "output" / "model_dump" / "COCO" / "network.pth"
    assert path.read_bytes() == CONTENT
    printed = capsys.readouterr().out
    assert "size and hash checked" in printed and "UNVERIFIED" not in printed
    assert "--config a_config --model-file output/model_dump/COCO/network.pth" in printed
    assert run("some_network", "--to", tmp_path / "there") == 0
    assert (tmp_path / "there" / "network.pth").exists()


def test_the_program_says_what_could_not_be_verified(run, capsys):
    assert run("some_network", bytes="unverified", hash="unverified") == 0
    assert f"UNVERIFIED: its size and hash could not be checked; its SHA-256 is {SHA256}" in (
        capsys.readouterr().out
    )


def test_a_file_behind_a_share_link_gets_the_sentence_where_to_click(run, tmp_path, capsys):
    values = {"url": None, "click": "On https://example.org, click 'model'"}
    assert run("some_network", **values) == 1
    printed = capsys.readouterr().out
    assert "On https://example.org, click 'model'. Put it to" in printed
    path = tmp_path / "output" / "model_dump" / "COCO" / "network.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert run("some_network", **values) == 0


def test_an_unknown_name_ends_with_one_line_and_code_2(run, capsys):
    with pytest.raises(SystemExit) as caught:
        run("some_netwrok")
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("download_weights.py: error: ") and "some_network?" in line


def test_a_failed_download_ends_with_one_line_and_code_2(run, server, capsys):
    server.content_type = "text/html"
    with pytest.raises(SystemExit) as caught:
        run("some_network")
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a page in HTML" in line
