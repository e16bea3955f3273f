"""Which domains people mean by `--domain`, in every command that has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from link_assets.defs.checks.check import listed
from link_assets.defs.domain_names import DomainNames


def chosen_domains(
    wanted: Iterable[str], known: Sequence[str], names: DomainNames
) -> Sequence[str]:
    """Return those of the known domains that are wanted by id or host, in their order.

    A host may be spelled in Unicode or in punycode, in upper or lower case.

    Raises:
        ClickException: None of them is meant; says which there are.
    """
    chosen: set[str] = set()
    for text in wanted:
        meant = {domain for domain in known if names.is_meant(domain, text)}
        if not meant:
            raise _unknown(text, known, names)
        chosen |= meant
    return [domain for domain in known if domain in chosen]


def _unknown(text: str, known: Sequence[str], names: DomainNames) -> click.ClickException:
    some = listed([names.of(domain) for domain in known]) or "none"
    unread = "" if names.hosts or not known else ", of which no host could be read"
    return click.ClickException(
        f"--domain: no domain {text!r} is known. Known are: {some}{unread}. A new one is "
        "known once `link-assets load --only domains` has run, unless the setting "
        "LINK_ASSETS__DOMAINS leaves it out."
    )
