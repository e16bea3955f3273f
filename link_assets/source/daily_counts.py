"""The API's own counts of clicks by people, day by day, to compare the warehouse with.

One request a domain, with the session that loads have: the same retries, pace and timeouts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from http.client import OK
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.rest_api.config_setup import create_auth
from requests import RequestException, Response

from link_assets.rows.raw_json import parse_json
from link_assets.settings import UNSET_API, ApiSettings
from link_assets.source.dialects.base import DailyCounts
from link_assets.source.dialects.configured import configured_dialect, dialect_type
from link_assets.source.http import new_session
from link_assets.source.pages import ApiError
from link_assets.source.refusals import no_json, own_words, refusal
from link_assets.source.run_resources import open_resources

Days = tuple[date, date]
"""The first and the last of some days."""
Counted = Mapping[date, int] | RequestException
"""The counts of the days that have any, or the error of a domain whose counts there is no telling.
It is an ApiError if the API answered."""


EPOCH = date(1970, 1, 1)


def api_counts_people() -> bool:
    """Return whether the API that is configured now has such counts; no settings are needed."""
    return dialect_type()(UNSET_API).daily_people(0, EPOCH, EPOCH) is not None


def people_by_day(
    settings: ApiSettings,
    domains: Iterable[tuple[int, Days]],
    hosts: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[int, Counted]]:
    """Yield the counts of each domain's days, of an API that has them.

    Errors name a domain with its host, where `hosts`, by id as text, have it.

    Raises:
        SettingsError: A file of certificates that the environment names does not exist.
    """
    dialect = configured_dialect(settings)
    auth = create_auth(cast(Any, dialect.auth()))
    asked = {domain: dialect.daily_people(domain, *days) for domain, days in domains}
    requests = {domain: request for domain, request in asked.items() if request}
    elsewhere = [r.path for r in requests.values() if urlsplit(r.path).scheme]
    with open_resources(settings) as resources:
        session = new_session(settings, resources.connections, elsewhere)
        client = RESTClient(settings.base_url, auth=auth, session=session)
        for domain, request in requests.items():
            host = hosts.get(str(domain))
            named = replace(request, what=f"{request.what} ({host})") if host else request
            yield domain, _counted(client, named, settings)


def _counted(client: RESTClient, request: DailyCounts, settings: ApiSettings) -> Counted:
    try:
        response = client.post(request.path, json=dict(request.parameters))
        return _read(response, request, (settings.api_key, settings.hash_salt))
    except RequestException as error:
        return error


def _read(response: Response, request: DailyCounts, secrets: Collection[str]) -> Mapping[date, int]:
    """Return the counts of an answer; raise ApiError if it has none."""
    if response.status_code != OK:
        raise ApiError(f"{request.what}: {refusal(response, secrets)}.", response)
    try:
        answer = parse_json(response.content)
    except (ValueError, RecursionError):
        raise ApiError(f"{request.what}: {no_json(response, secrets)}.", response) from None
    try:
        return request.by_day(answer)
    except ValueError as problem:
        reason = f"{problem}{own_words(response, secrets)}"
        raise ApiError(f"{request.what}: {reason}.", response) from None
