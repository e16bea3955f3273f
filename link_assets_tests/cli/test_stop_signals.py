"""What SIGINT and SIGTERM do to a command that notes them."""

from __future__ import annotations

import signal

from link_assets_tests.warehouse.helpers import process, read_line

# waits where nothing looks for a signal
COMMAND = """
import sys, time
from link_assets.cli import stop_signals
stop_signals.ANOTHER_AFTER_SECONDS = float(sys.argv[1])
with stop_signals.stop_signals(lambda: print("ended", flush=True)) as signals:
    print("ready", flush=True)
    while not signals.first:
        time.sleep(0.01)
    print("first", flush=True)
    time.sleep(float(sys.argv[2]))
print("done", flush=True)
"""


def after_two_signals(counts_after: str, waits: str, second: signal.Signals) -> tuple[str, int]:
    """What the command says and exits with after SIGTERM and a second signal."""
    with process(COMMAND, counts_after, waits) as command:
        assert read_line(command) == "ready"
        command.send_signal(signal.SIGTERM)
        assert read_line(command) == "first"
        command.send_signal(second)
        return read_line(command), command.wait(timeout=30)


def test_another_signal_ends_a_command_that_still_waits() -> None:
    assert after_two_signals("0", "600", signal.SIGINT) == ("ended", 130)


def test_a_signal_that_is_sent_twice_at_once_is_one() -> None:
    assert after_two_signals("600", "0.5", signal.SIGTERM) == ("done", 0)
