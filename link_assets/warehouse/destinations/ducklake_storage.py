"""Where a lake's files are, and by whose keys: dlt's classes without what DuckDB cannot use.

Of the keys for S3, dlt reads those that the settings give; a machine's own DuckDB looks for itself.
"""

from __future__ import annotations

from typing import Any, ClassVar

from dlt.common.configuration import configspec, resolve_type
from dlt.common.configuration.specs import AwsCredentials
from dlt.common.storages.configuration import FilesystemConfiguration

from link_assets.settings import SettingsError, environment_name

SETTINGS = environment_name("destination.ducklake.credentials")
"""What the names of the settings begin with in the environment."""
FILES = f"{SETTINGS}__STORAGE__BUCKET_URL"
KEYS = f"{SETTINGS}__STORAGE__CREDENTIALS"
KINDS = ("file", "s3")
"""The protocols of places that were tried."""
NOT_SHARED = (
    f"{FILES} must be where all machines see the lake's files: a folder such as /data/lake, or "
    "s3://bucket/lake."
)


@configspec
class LakeKeys(AwsCredentials):
    """dlt's keys for S3, which DuckDB can use."""

    def on_resolved(self) -> None:
        """Take Amazon's endpoint of the region if none is given.

        Raises:
            SettingsError: DuckDB would look for the bucket or the keys elsewhere. The message says
                which setting to change.
        """
        if not self.region_name:
            raise SettingsError(f"{KEYS}__REGION_NAME must be the bucket's, such as eu-central-1.")
        if self.has_default_credentials():
            self._require_nothing_ignored()
        # dlt's default is that of no region, which sends callers on to the bucket's own
        self.endpoint_url = self.endpoint_url or f"https://s3.{self.region_name}.amazonaws.com"

    def _require_nothing_ignored(self) -> None:
        """Refuse settings of keys that would not count, as the machine's are used."""
        if self.aws_access_key_id or self.aws_secret_access_key:
            raise SettingsError(
                f"{KEYS}__AWS_ACCESS_KEY_ID and {KEYS}__AWS_SECRET_ACCESS_KEY must both be given, "
                "or neither, and the machine's own keys are used."
            )
        if self.profile_name:
            raise SettingsError(f"{KEYS}__PROFILE_NAME must not be given: set AWS_PROFILE instead.")


@configspec
class LakeStorage(FilesystemConfiguration):
    """dlt's place for files, which is a folder or in S3."""

    PROTOCOL_CREDENTIALS: ClassVar[dict[str, Any]] = {"s3": LakeKeys}

    @resolve_type("credentials")
    def resolve_credentials_type(self) -> Any:
        """Return the class of the keys.

        Raises:
            SettingsError: The place is of another kind.
        """
        if self.protocol not in KINDS:
            raise SettingsError(NOT_SHARED)
        return super().resolve_credentials_type()
