"""How people read a domain: its id, with its host where that is known: `7 (go.example.com)`.

Log lines, check messages and tags name domains with this; what other runs read back are plain ids.
Where people name a domain, as `--domain` of the commands has them, its host is known in every
spelling. Hosts are for people only, so what keeps them from being read never fails a run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from link_assets.warehouse.domains import hosts, hosts_in
from link_assets.warehouse.reader import Reader

LONGEST = 60
"""How many characters of a host are shown."""


@dataclass(frozen=True)
class DomainNames:
    """The names of domains. `hosts` are those that are known, by id as text.

    `spellings` are those of each host, whole and in lower case: in Unicode and as DNS has it.
    """

    hosts: Mapping[str, str] = field(default_factory=dict)
    spellings: Mapping[str, Collection[str]] = field(default_factory=dict)

    def of(self, domain: int | str) -> str:
        """Return the domain's id, and its host if that is known: what follows the word domain."""
        host = self.host(domain)
        return f"{domain} ({host})" if host else str(domain)

    def host(self, domain: int | str) -> str | None:
        """Return the domain's host; None if it is not known."""
        return self.hosts.get(str(domain))

    def is_meant(self, domain: int | str, text: str) -> bool:
        """Return whether a text that people wrote is the domain's id, or its host."""
        spellings = self.spellings.get(str(domain), ())
        return text.strip().casefold() in (str(domain), *spellings)


def names_of(known: Mapping[int, Sequence[str]]) -> DomainNames:
    """Return the names of domains by the spellings of their hosts, the one to show first."""
    return DomainNames(
        {str(domain): one_line(first) for domain, (first, *_) in known.items()},
        {str(domain): [host.casefold() for host in spelled] for domain, spelled in known.items()},
    )


WITHOUT_HOSTS = DomainNames()
"""The names of domains of which only the ids are known."""


def domain_names(at_most: float | None = None) -> DomainNames:
    """Read the names of all domains from the warehouse; without hosts if that is not possible.

    Where a reader is open already, use `names_in`: another one would wait for it.

    Args:
        at_most: How many seconds to wait for a warehouse that others use, if that is less than
            the setting `lock_timeout_seconds`.
    """
    return _names(lambda: hosts(at_most))


def names_in(reader: Reader) -> DomainNames:
    """Read the names of all domains with a reader at hand; without hosts if that fails."""
    return _names(lambda: hosts_in(reader))


def _names(read: Callable[[], Mapping[int, Sequence[str]]]) -> DomainNames:
    try:
        return names_of(read())
    except Exception:  # noqa: BLE001 - whatever else the run does with the warehouse tells why
        return WITHOUT_HOSTS


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return a text from the API as one short line, whatever it has in it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= longest else f"{line[:longest]}..."
