"""Short.io's refusals, word for word where a live one is on record."""

from __future__ import annotations

from starlette.requests import Request

from link_assets.sandbox.app import Refused
from link_assets.sandbox.faults import Answer


def unauthorized() -> Refused:
    """Return the answer to a request without the key."""
    body = {"statusCode": 401, "error": "Unauthorized", "message": "Unauthorized"}
    return Refused(Answer(body, 401))


def invalid(message: str) -> Refused:
    """Return the answer to a parameter that cannot be read."""
    code = {"statusCode": 400, "code": "FST_ERR_VALIDATION", "error": "Bad Request"}
    return Refused(Answer({**code, "message": message}, 400))


def refused(status: int, message: str) -> Refused:
    """Return the short form of errors: that of 402, 403 and 404."""
    return Refused(Answer({"error": message}, status))


def no_route(request: Request) -> Refused:
    """Return the answer where the API has nothing, or not with this method."""
    message = f"Route {request.method}:{request.url.path} not found"
    return Refused(Answer({"message": message, "error": "Not Found", "statusCode": 404}, 404))
