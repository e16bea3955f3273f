"""An API server on this machine: the guide's contract, made-up data, faults on request."""

from link_assets.sandbox.app import RequestRecord, Sandbox
from link_assets.sandbox.faults import Fault
from link_assets.sandbox.server import run, serve
from link_assets.sandbox.world import World

__all__ = ["Fault", "RequestRecord", "Sandbox", "World", "run", "serve"]
