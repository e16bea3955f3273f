"""An API server on this machine: two contracts, made-up data, faults on request."""

from link_assets.sandbox.app import RequestRecord, Sandbox
from link_assets.sandbox.faults import Fault
from link_assets.sandbox.server import run, serve
from link_assets.sandbox.short_io_switches import ShortIoSwitches
from link_assets.sandbox.world import World

__all__ = ["Fault", "RequestRecord", "Sandbox", "ShortIoSwitches", "World", "run", "serve"]
