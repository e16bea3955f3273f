"""The tables: columns, types, merge keys, personal fields. The one place to add a field.

A field is one line, a `Field` in the `fields` of its table: reading it, its column and the
treatment of personal data follow. The fields of links and clicks are those of the API guide, those
of domains and folders are Short.io's; what an API documents beside them, its dialect says.

`nullable` is what the guide promises about the API. Checks report on it; the warehouse does not
enforce it, because real payloads leave out fields that the guide calls required.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

DATASET = "link_assets"
"""The dataset of all tables, and the first part of their asset keys."""

DataType = Literal["text", "bigint", "bool", "timestamp", "date", "decimal"]
PersonalGroup = Literal["ip", "password", "people"]
Treatment = Literal["keep", "hash", "drop"]
"""What becomes of a group's values before anything is written."""


@dataclass(frozen=True)
class Field:
    """A field of the API and its column.

    Attributes:
        name: The API's name; a dot leads into an object (`Owner.id`). Empty for a column that the
            loader adds.
        column: The column's name, spelled as dlt's snake_case naming spells it.
        data_type: The column's type, one of dlt's. Timestamps are in UTC.
        nullable: Whether the guide lets it be null.
        description: What the warehouse and Dagster show beside the column.
        personal: The group of personal data that it belongs to.
    """

    name: str
    column: str
    data_type: DataType = "text"
    nullable: bool = True
    description: str = ""
    personal: PersonalGroup | None = None


@dataclass(frozen=True)
class Table:
    """A table: its fields, the columns that the loader adds around them, and its merge key.

    The values of `secret` fields are removed as soon as a row is read. A table that is computed in
    the warehouse has columns that are added alone.
    """

    name: str
    description: str
    primary_key: tuple[str, ...]
    fields: tuple[Field, ...]
    added: tuple[Field, ...] = ()
    added_last: tuple[Field, ...] = ()
    secret: tuple[str, ...] = ()
    merge_key: tuple[str, ...] = ()
    """The columns of the key whose rows are replaced together; empty if each row is by itself."""

    @cached_property
    def filled(self) -> tuple[str, ...]:
        """Return the columns of the key that no row lacks."""
        return self.merge_key or self.primary_key

    @cached_property
    def columns(self) -> tuple[Field, ...]:
        """Return the columns in their order; dlt adds its own."""
        return (*self.added, *self.fields, *self.added_last)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Return the columns without nulls if the API keeps what the guide promises."""
        return tuple(f.column for f in self.columns if not f.nullable)


def _person(name: str, column: str, who: str) -> tuple[Field, ...]:
    """Return the fields of an object that describes a person."""

    def detail(field: str, suffix: str, what: str) -> Field:
        description = f"{what} of {who}."
        return Field(
            f"{name}.{field}", f"{column}__{suffix}", description=description, personal="people"
        )

    return (
        Field(f"{name}.id", f"{column}__id", "bigint", description=f"Account id of {who}."),
        detail("name", "name", "Name"),
        detail("email", "email", "Email address"),
        detail("photoURL", "photo_url", "Picture"),
    )


DOMAINS = Table(
    name="domains",
    description="One row per short-link domain, whether it has links or not.",
    primary_key=("id",),
    fields=(
        Field("id", "id", "bigint", nullable=False, description="The domain's id."),
        Field("hostname", "hostname", description="Host of its short links, as DNS has it."),
        Field("unicodeHostname", "unicode_hostname", description="The host as people read it."),
        Field("state", "state", description="How far the domain is set up."),
        Field("createdAt", "created_at", "timestamp", description="When the domain was added."),
        Field("updatedAt", "updated_at", "timestamp", description="When it was changed last."),
        Field("TeamId", "team_id", "bigint", description="The team that it belongs to."),
        Field("OrganizationId", "organization_id", description="The organization, likewise."),
        Field("UserId", "user_id", "bigint", description="Account id of who added it."),
        Field(
            "caseSensitive", "case_sensitive", "bool", description="Whether case tells paths apart."
        ),
        Field("linkType", "link_type", description="How paths of new links are made."),
        Field("incrementCounter", "increment_counter", description="The last path that was."),
        Field("cloaking", "cloaking", "bool", description="Whether targets are hidden."),
        Field("hideReferer", "hide_referer", "bool", description="Whether referrers are hidden."),
        Field(
            "hideVisitorIp",
            "hide_visitor_ip",
            "bool",
            description="Whether addresses are hidden.",
        ),
        Field("httpsLevel", "https_level", description="What becomes of requests by http."),
        Field("httpsLinks", "https_links", "bool", description="Whether new links have https."),
        Field("robots", "robots", description="What search engines may do."),
        Field("integrationGA", "integration_ga", description="Google Analytics id of the domain."),
        Field("integrationFB", "integration_fb", description="Facebook pixel id of the domain."),
        Field("integrationTT", "integration_tt", description="TikTok pixel id of the domain."),
        Field("integrationAdroll", "integration_adroll", description="AdRoll id of the domain."),
        Field(
            "integrationGTM", "integration_gtm", description="Google Tag Manager id of the domain."
        ),
        Field("sslCertExpirationDate", "ssl_cert_expiration_date", "timestamp"),
        Field("sslCertInstalledSuccess", "ssl_cert_installed_success", "bool"),
        Field("domainRegistrationId", "domain_registration_id", "bigint"),
        Field("exportEnabled", "export_enabled", "bool"),
        Field("enableAI", "enable_ai", "bool"),
        Field("enableConversionTracking", "enable_conversion_tracking", "bool"),
        Field("qrScanTracking", "qr_scan_tracking", "bool"),
        Field("hasFavicon", "has_favicon", "bool"),
        Field("isFavorite", "is_favorite", "bool"),
    ),
    secret=("segmentKey", "webhookURL", "clientStorage"),
)

FOLDERS = Table(
    name="folders",
    description="One row per folder of links, where the API has folders.",
    primary_key=("id",),
    fields=(
        Field("id", "id", nullable=False, description="The folder's id: `folder_id` of its links."),
        Field("name", "name", description="Name of the folder."),
        Field("DomainId", "domain_id", "bigint", description="The domain's id."),
    ),
)

LINKS = Table(
    name="links",
    description="One row per short link, as the API last listed it.",
    primary_key=("id",),
    added_last=(
        Field(
            "",
            "deleted_at",
            "timestamp",
            description="When a complete listing first came without the link; null if it is there.",
        ),
    ),
    fields=(
        Field("id", "id", description="The link's id; `id_string` where the API sends none."),
        Field("DomainId", "domain_id", "bigint", nullable=False, description="The domain's id."),
        Field("lcpath", "lcpath", description="Path of the short link in lower case."),
        Field("passwordContact", "password_contact", "bool"),
        Field(
            "hasPassword", "has_password", "bool", description="Whether visitors need a password."
        ),
        Field("OwnerId", "owner_id", "bigint", description="Account id of the link's owner."),
        Field("path", "path", description="Path of the short link."),
        Field("title", "title", description="Title of the link."),
        Field("icon", "icon", description="Icon of the link."),
        Field("archived", "archived", "bool", description="Whether the link is archived."),
        Field("originalURL", "original_url", nullable=False, description="Where the link leads."),
        Field("iphoneURL", "iphone_url", description="Where it leads on an iPhone."),
        Field("androidURL", "android_url", description="Where it leads on Android."),
        Field(
            "password",
            "password",
            description="Password of a protected link.",
            personal="password",
        ),
        Field("utmSource", "utm_source", description="Campaign source added to the target."),
        Field("utmMedium", "utm_medium", description="Campaign medium added to the target."),
        Field("utmCampaign", "utm_campaign", description="Campaign name added to the target."),
        Field("utmCampaignId", "utm_campaign_id", description="Campaign id added to the target."),
        Field("utmTerm", "utm_term", description="Campaign term added to the target."),
        Field("utmContent", "utm_content", description="Campaign content added to the target."),
        Field("splitURL", "split_url", description="Second target of a split test."),
        Field("splitPercent", "split_percent", description="Share of clicks in the split test."),
        Field("expiresAt", "expires_at", description="When the link expires, as the API says it."),
        Field("expiredURL", "expired_url", description="Where an expired link leads."),
        Field("redirectType", "redirect_type", description="HTTP status of the redirect."),
        Field("clicksLimit", "clicks_limit", description="Clicks after which the link expires."),
        Field("cloaking", "cloaking", "bool", description="Whether the target's URL is hidden."),
        Field("source", "source", description="How the link was made."),
        Field("integrationGA", "integration_ga", description="Google Analytics id of the link."),
        Field("integrationFB", "integration_fb", description="Facebook pixel id of the link."),
        Field("integrationAdroll", "integration_adroll", description="AdRoll id of the link."),
        Field(
            "integrationGTM", "integration_gtm", description="Google Tag Manager id of the link."
        ),
        Field(
            "AutodeletedAt",
            "autodeleted_at",
            "timestamp",
            description="When the service deleted the link by itself.",
        ),
        Field(
            "createdAt",
            "created_at",
            "timestamp",
            nullable=False,
            description="When the link was made.",
        ),
        Field(
            "updatedAt",
            "updated_at",
            "timestamp",
            nullable=False,
            description="When the link was changed last.",
        ),
        *_person("Owner", "owner", "the link's owner"),
        Field("secureShortURL", "secure_short_url", description="The short link with https."),
        Field("idString", "id_string", nullable=False, description="The link's id as text."),
        Field("shortURL", "short_url", nullable=False, description="The short link."),
        *_person("User", "user", "the user who made the link"),
    ),
)

LINK_TAGS = "tags"
"""The one list in a link, of strings, which become the child table `links__tags`."""

LINK_SPELLINGS = "spellings"
"""The spellings of a link's path besides its own, likewise: `links__spellings`, made by `rows`."""

CLICKS = Table(
    name="clicks",
    description="One row per click on a short link of a domain.",
    primary_key=("domain_id", "dt", "click_id"),
    added=(
        Field("", "domain_id", "bigint", nullable=False, description="The domain clicked on."),
        Field(
            "",
            "click_id",
            nullable=False,
            description="Hash of the request's own facts and its number among identical ones.",
        ),
    ),
    fields=(
        Field("host", "host", description="Host of the request."),
        Field("path", "path", description="Path of the request."),
        Field("method", "method", description="HTTP method of the request."),
        Field("url", "url"),
        Field("dt", "dt", "timestamp", description="When the click happened."),
        Field("st", "st", "bigint", description="HTTP status of the answer."),
        Field("ip", "ip", description="Address of the visitor.", personal="ip"),
        Field("proto", "proto", description="http or https."),
        Field("ref", "ref", description="Referrer of the request."),
        Field("ua", "ua", description="User agent of the request."),
        Field("human", "human", "bool", description="Whether the visitor seems to be a person."),
        Field("browser", "browser", description="Browser of the visitor."),
        Field("browser_version", "browser_version", description="Version of that browser."),
        Field("country", "country", description="Country of the visitor."),
        Field("city", "city", description="City of the visitor."),
        Field("social", "social", description="Social network the visitor came from."),
        Field("refhost", "refhost", description="Host of the referrer."),
        Field("os", "os", description="Operating system of the visitor."),
        Field("utm_source", "utm_source", description="Campaign source of the click."),
        Field("utm_medium", "utm_medium", description="Campaign medium of the click."),
        Field("utm_campaign", "utm_campaign", description="Campaign name of the click."),
        Field("goal_completed", "goal_completed", description="Goal that the visitor reached."),
        Field("ab_path", "ab_path", description="Path taken in a split test."),
        Field("lcpath", "lcpath", description="Path of the request in lower case."),
    ),
)

CLICK_FACTS = ("host", "path", "method", "url", "dt", "st", "ip", "proto", "ref", "ua")
"""The fields of the request itself, which a `click_id` is made of.

The service works the others out, and may revise them later. Order and names never change: the
ids in warehouses depend on them.
"""

DAILY_CLICKS = Table(
    name="daily_clicks",
    description=(
        "One row per link and day (UTC) with clicks, and one per day for clicks of no link; "
        "their sum is the number of clicks."
    ),
    primary_key=("domain_id", "day", "link_id"),
    merge_key=("domain_id", "day"),
    fields=(),
    added=(
        Field("", "domain_id", "bigint", nullable=False, description="The domain clicked on."),
        Field("", "day", "date", nullable=False, description="The day of the clicks, in UTC."),
        Field("", "link_id", description="The clicked link: `links.id`; null for clicks of none."),
        Field(
            "",
            "link_path",
            description="The path that was clicked, without slashes at its ends; null for no link.",
        ),
        Field("", "clicks", "bigint", nullable=False, description="How many clicks there were."),
        Field(
            "",
            "clicks_by_people",
            "bigint",
            nullable=False,
            description="How many of them seem to be of people: `human` is true.",
        ),
        Field(
            "",
            "visitors",
            "bigint",
            nullable=False,
            description="How many different pairs of address and user agent they came from.",
        ),
        Field(
            "",
            "first_click",
            "timestamp",
            nullable=False,
            description="When the first of them happened.",
        ),
        Field(
            "",
            "last_click",
            "timestamp",
            nullable=False,
            description="When the last of them happened.",
        ),
        Field(
            "",
            "top_country",
            description="The country of most of them; of several the first by name.",
        ),
        Field(
            "",
            "top_referrer",
            description="The referrer's host of most of them, likewise; null if none has one.",
        ),
        Field(
            "",
            "load_ids",
            "decimal",
            nullable=False,
            description="Sum of their `_dlt_load_id`, which tells whether the day has changed.",
        ),
        Field(
            "",
            "clicks_deleted",
            "bool",
            description="Whether its clicks are no longer kept, so that the day stays as it is.",
        ),
    ),
)

REJECTED_ROWS = Table(
    name="rejected_rows",
    description="Rows that could not be loaded, each whole, with the reason.",
    primary_key=("rejected_row_id",),
    fields=(
        Field(
            "",
            "rejected_row_id",
            nullable=False,
            description="Hash of resource, domain, payload and number among identical ones.",
        ),
        Field("", "resource", nullable=False, description="The table it was meant for."),
        Field("", "domain_id", "bigint", description="The domain it was fetched for."),
        Field("", "reason", nullable=False, description="The field and why it was not readable."),
        Field("", "payload", nullable=False, description="The row as JSON text."),
    ),
)

FORMER_NAMES = {REJECTED_ROWS.name: {"row_id": "rejected_row_id"}}
"""By table, columns that had another name in earlier versions: that name, and today's.

DuckLake keeps `row_id` for itself.
"""
