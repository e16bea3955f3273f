"""`@short.io/client-node`, Short.io's client for Node, reads the sandbox."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from link_assets_tests.others.conftest import COMMAND, Loaded

PACKAGE = "@short.io/client-node@3.3.1"
SCRIPT = "read_all.mjs"
NULLS = {"TeamId", "httpsLinks", "nextPageToken", "links.FolderId", "links.User.name"}
"""Some of what may be null in answers, but not in the client's schemas."""


@pytest.fixture(scope="session")
def node_folder(others: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client and the script, made once for all processes of the tests."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip(f"Node or npm is missing; run: apt-get install nodejs npm && {COMMAND}")
    folder = tmp_path_factory.getbasetemp().parent / "client_node"
    with FileLock(f"{folder}.lock"):
        if not (folder / SCRIPT).exists():
            folder.mkdir(exist_ok=True)
            (folder / "package.json").write_text('{"private": true}')
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
            if done.returncode:
                last = done.stderr.strip().splitlines()[-3:]
                pytest.skip(f"npm cannot install {PACKAGE} from its registry: {' '.join(last)}")
            shutil.copy(Path(__file__).parent / SCRIPT, folder)
    return folder


def read_all(folder: Path, loaded: Loaded) -> dict[str, Any]:
    """Return all that the client read, and what its schemas say of the pages."""
    command = ["node", SCRIPT, loaded.api.url, loaded.api.sandbox.api_key]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_finds_the_domains_and_links_of_the_warehouse(node_folder: Path, loaded: Loaded) -> None:
    """The client hands on what it is answered, and has schemas for those who want to check it.

    The schemas take no null, although the specification that they are made from does, and answers
    of the service have some: `nextPageToken`, for one. Nulls are all that they may complain of.
    """
    read = read_all(node_folder, loaded)
    assert {domain["id"]: domain["hostname"] for domain in read["domains"]} == loaded.hosts()
    links = [
        tuple(link[name] for name in ("DomainId", "id", "path", "originalURL", "shortURL"))
        for link in read["links"]
    ]
    assert sorted(links) == loaded.links()
    assert len(links) == 300
    assert read["complaints"] == []
    assert {*read["complaintsAboutNulls"]} >= NULLS
