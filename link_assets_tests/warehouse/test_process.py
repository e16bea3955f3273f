"""What using the warehouse sets up in a process: nothing by importing it, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from link_assets_tests.warehouse.helpers import process, read_line

ADD_LOAD_ID = "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID"
SCRIPT = """
import json, logging, os, sys
from link_assets.warehouse.pipeline import open_pipeline
from link_assets.warehouse.reader import reading

def set_up():
    return [os.environ.get(sys.argv[1]), len(logging.getLogger("dlt").filters)]

found = [set_up()]
for use in sys.argv[2:]:
    with open_pipeline("links") if use == "load" else reading():
        found.append(set_up())
print(json.dumps(found))
"""


@pytest.mark.parametrize("uses", [("load", "read", "load"), ("read", "load")], ids=" ".join)
def test_a_process_is_set_up_by_using_the_warehouse_and_not_by_importing_it(
    uses: tuple[str, ...], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ADD_LOAD_ID, raising=False)
    with process(SCRIPT, ADD_LOAD_ID, *uses) as script:
        assert json.loads(read_line(script)) == [[None, 0], *[["true", 1] for _ in uses]]


TICKS = """
import gc, json, sys
from link_assets.settings import alert_webhook, location_settings
from link_assets.warehouse.domains import hosts
from link_assets.warehouse.reader import reading

def tick():
    location_settings(), alert_webhook(), hosts()
    with reading() as reader:
        reader.rows("SELECT 1")

def size(ticks):
    for _ in range(ticks):
        tick()
    gc.collect()
    return sys.getallocatedblocks()

before = size(5)
print(json.dumps(size(20) - before))
"""


def test_a_process_that_only_reads_does_not_grow_with_each_tick(workdir: Path) -> None:
    with process(TICKS) as script:
        # dlt took some 900 blocks of memory for each reading
        assert json.loads(read_line(script)) < 20 * 50
