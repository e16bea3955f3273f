"""The API guide's two schemas, written out by hand: fields, their columns, types and nullability.

Tests compare the contract, and what is in the warehouse, with these. Nothing here is taken from
the package. A field that the contract has beyond the guide stands at the end of its list.
"""

from __future__ import annotations

from typing import Literal

Fields = list[
    tuple[str, str, Literal["text", "bigint", "bool", "timestamp"], Literal["nullable", "required"]]
]
"""The API's name, the column, its type, and whether the guide lets it be null."""

LINK_FIELDS: Fields = [
    ("lcpath", "lcpath", "text", "nullable"),
    ("passwordContact", "password_contact", "bool", "nullable"),
    ("hasPassword", "has_password", "bool", "nullable"),
    ("OwnerId", "owner_id", "bigint", "nullable"),
    ("id", "id", "text", "nullable"),
    ("path", "path", "text", "nullable"),
    ("title", "title", "text", "nullable"),
    ("icon", "icon", "text", "nullable"),
    ("archived", "archived", "bool", "nullable"),
    ("originalURL", "original_url", "text", "required"),
    ("iphoneURL", "iphone_url", "text", "nullable"),
    ("androidURL", "android_url", "text", "nullable"),
    ("password", "password", "text", "nullable"),
    ("utmSource", "utm_source", "text", "nullable"),
    ("utmMedium", "utm_medium", "text", "nullable"),
    ("utmCampaign", "utm_campaign", "text", "nullable"),
    ("utmCampaignId", "utm_campaign_id", "text", "nullable"),
    ("utmTerm", "utm_term", "text", "nullable"),
    ("utmContent", "utm_content", "text", "nullable"),
    ("splitURL", "split_url", "text", "nullable"),
    ("splitPercent", "split_percent", "text", "nullable"),
    ("expiresAt", "expires_at", "text", "nullable"),
    ("expiredURL", "expired_url", "text", "nullable"),
    ("redirectType", "redirect_type", "text", "nullable"),
    ("clicksLimit", "clicks_limit", "text", "nullable"),
    ("cloaking", "cloaking", "bool", "nullable"),
    ("source", "source", "text", "nullable"),
    ("integrationGA", "integration_ga", "text", "nullable"),
    ("integrationFB", "integration_fb", "text", "nullable"),
    ("integrationAdroll", "integration_adroll", "text", "nullable"),
    ("integrationGTM", "integration_gtm", "text", "nullable"),
    ("AutodeletedAt", "autodeleted_at", "timestamp", "nullable"),
    ("createdAt", "created_at", "timestamp", "required"),
    ("updatedAt", "updated_at", "timestamp", "required"),
    ("DomainId", "domain_id", "bigint", "required"),
    ("Owner.id", "owner__id", "bigint", "nullable"),
    ("Owner.name", "owner__name", "text", "nullable"),
    ("Owner.email", "owner__email", "text", "nullable"),
    ("Owner.photoURL", "owner__photo_url", "text", "nullable"),
    ("secureShortURL", "secure_short_url", "text", "nullable"),
    ("idString", "id_string", "text", "required"),
    ("shortURL", "short_url", "text", "required"),
    ("User.id", "user__id", "bigint", "nullable"),
    ("User.name", "user__name", "text", "nullable"),
    ("User.email", "user__email", "text", "nullable"),
    ("User.photoURL", "user__photo_url", "text", "nullable"),
]
"""All but `tags`, a nullable array of strings, which becomes the table `links__tags`. The guide
gives no types for the parts of `Owner` and `User`; ids are whole numbers, as `OwnerId` is."""

CLICK_FIELDS: Fields = [
    ("host", "host", "text", "nullable"),
    ("path", "path", "text", "nullable"),
    ("method", "method", "text", "nullable"),
    ("url", "url", "text", "nullable"),
    ("dt", "dt", "timestamp", "nullable"),
    ("st", "st", "bigint", "nullable"),
    ("ip", "ip", "text", "nullable"),
    ("proto", "proto", "text", "nullable"),
    ("ref", "ref", "text", "nullable"),
    ("ua", "ua", "text", "nullable"),
    ("human", "human", "bool", "nullable"),
    ("browser", "browser", "text", "nullable"),
    ("browser_version", "browser_version", "text", "nullable"),
    ("country", "country", "text", "nullable"),
    ("city", "city", "text", "nullable"),
    ("social", "social", "text", "nullable"),
    ("refhost", "refhost", "text", "nullable"),
    ("os", "os", "text", "nullable"),
    ("utm_source", "utm_source", "text", "nullable"),
    ("utm_medium", "utm_medium", "text", "nullable"),
    ("utm_campaign", "utm_campaign", "text", "nullable"),
    ("goal_completed", "goal_completed", "text", "nullable"),
    ("ab_path", "ab_path", "text", "nullable"),
    ("lcpath", "lcpath", "text", "nullable"),
]
