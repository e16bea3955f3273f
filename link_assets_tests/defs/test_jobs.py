"""What a job runs."""

from __future__ import annotations

from link_assets.definitions import defs


def test_jobs_load_what_their_names_say() -> None:
    graph = defs.resolve_asset_graph()
    selected = {
        job: {key.to_user_string() for key in definition.asset_layer.executable_asset_keys}
        for job in ("links_job", "clicks_job", "checks_job")
        if (definition := defs.resolve_job_def(job))
    }
    assert selected == {
        "links_job": {"link_assets/domains", "link_assets/links"},
        "clicks_job": {"link_assets/clicks", "link_assets/daily_clicks"},
        "checks_job": set(),
    }
    checked = defs.resolve_job_def("checks_job").asset_layer.asset_graph.asset_check_keys
    assert checked == graph.asset_check_keys
