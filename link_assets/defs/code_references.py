"""Links from an asset's page to its code: to the file, or to a branch where one is set."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import dagster as dg

from link_assets.defs import configuration
from link_assets.settings import TREE

GITLAB_TREE = f"/-{TREE}"


def with_code_references(assets: Sequence[dg.AssetsDefinition]) -> Sequence[dg.AssetsDefinition]:
    """Return the assets with a reference to the function that each is made from."""
    with warnings.catch_warnings():
        # Dagster warns that these functions may change
        warnings.simplefilter("ignore", dg.BetaWarning)
        found = dg.with_source_code_references(assets)
        if configuration.SETTINGS.git_url:
            found = _linked(found, configuration.SETTINGS.git_url)
    return cast(Sequence[dg.AssetsDefinition], found)


def _linked(assets: Sequence[Any], git_url: str) -> Sequence[Any]:
    """Return the assets with links to a branch at GitHub, or GitLab, in place of files."""
    is_gitlab = GITLAB_TREE in git_url
    repository, branch = git_url.rstrip("/").split(GITLAB_TREE if is_gitlab else TREE, 1)
    package = Path(__file__).parents[1]
    return dg.link_code_references_to_git(
        assets,
        repository,
        branch,
        dg.AnchorBasedFilePathMapping(package, package.name),
        platform="gitlab" if is_gitlab else "github",
    )
