import dataclasses
import hashlib
import shutil
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from course_lib import datasets
from course_lib.datasets import loading, registry


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A data set with an address: a server on this machine, and an empty folder COURSE_DATA."""
    content = b"published bytes"
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "cells.zip").write_bytes(content)

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "server"))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    record = datasets.Dataset(
        name="cells",
        description="cells for a test",
        file="cells.zip",
        sha256=hashlib.sha256(content).hexdigest(),
        licence="CC0",
        citation="nobody",
        url=f"http://127.0.0.1:{server.server_port}/cells.zip",
    )
    monkeypatch.setattr(registry, "_registry", lambda: {"cells": record})
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "brought"))
    yield record
    server.shutdown()
    server.server_close()


def test_a_public_file_is_fetched_once_verified_and_kept(public: datasets.Dataset, tmp_path: Path) -> None:
    fetched = datasets.path("cells")
    assert fetched == tmp_path / "brought" / "cells.zip"
    (tmp_path / "server" / "cells.zip").unlink()
    assert datasets.path("cells") == fetched


def test_a_wrong_download_is_refused_and_not_kept(public: datasets.Dataset, tmp_path: Path) -> None:
    (tmp_path / "server" / "cells.zip").write_bytes(b"tampered")
    with pytest.raises(ValueError, match=r"the download of cells from http.* is not the published file"):
        datasets.path("cells")
    assert not list((tmp_path / "brought").glob("*"))


def test_without_a_network_the_message_tells_how_to_bring_the_file(
    public: datasets.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = dataclasses.replace(public, url="http://127.0.0.1:9/cells.zip")
    monkeypatch.setattr(registry, "_registry", lambda: {"cells": gone})
    with pytest.raises(
        OSError, match=r"cells could not be downloaded .* bring the file \(sha256 .*\) as cells.zip in a folder"
    ):
        datasets.path("cells")


def test_a_file_that_was_brought_is_verified(public: datasets.Dataset, tmp_path: Path) -> None:
    brought = tmp_path / "brought"
    brought.mkdir()
    shutil.copy(tmp_path / "server" / "cells.zip", brought)
    (tmp_path / "server" / "cells.zip").unlink()
    assert datasets.path("cells") == brought / "cells.zip"
    (brought / "cells.zip").write_bytes(b"damaged on the stick")
    with pytest.raises(ValueError, match=r"cells.zip is damaged or not the published file: its sha256 is .* Delete it"):
        datasets.path("cells")


def test_an_archive_is_not_an_image(public: datasets.Dataset) -> None:
    with pytest.raises(ValueError, match=r"cells is an archive, cells.zip, not one image: datasets.path\('cells'\)"):
        datasets.load("cells")


def test_own_files_missing_or_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "data_folder", lambda: tmp_path)
    monkeypatch.delenv("COURSE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"which the course ships, is missing: restore it with git checkout"):
        datasets.path("hazelnut")
    (tmp_path / "images").mkdir()
    (tmp_path / datasets.describe("hazelnut").file).write_bytes(b"II*\0")
    with pytest.raises(ValueError, match="is damaged or not the published file"):
        datasets.load("hazelnut")


@pytest.mark.parametrize(
    ("name", "hint"), [("hazelnuts", "did you mean 'hazelnut'"), ("", "There are hazelnut"), ("x", "There are")]
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=rf"there is no data set '{name}'.*{hint}"):
        datasets.load(name)


def test_a_repeated_load_hashes_the_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.path("hazelnut")
    before = loading._sha256.cache_info().misses
    datasets.path("hazelnut")
    assert loading._sha256.cache_info().misses == before
