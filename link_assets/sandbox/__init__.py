"""An API server on this machine: the guide's contract or Short.io's, made-up data, faults."""

from link_assets.sandbox.app import Sandbox
from link_assets.sandbox.faults import Fault
from link_assets.sandbox.records import RequestRecord
from link_assets.sandbox.server import run, serve
from link_assets.sandbox.switches import Switches
from link_assets.sandbox.world import World

__all__ = ["Fault", "RequestRecord", "Sandbox", "Switches", "World", "run", "serve"]
