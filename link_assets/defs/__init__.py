"""Everything that knows Dagster: how loading becomes assets, partitions, runs and checks.

    schedule | sensor | backfill | user
                  |
                  v                        jobs.py, schedules.py, sensors.py
        run of some domains                run_requests.py, partitions.py
                  |
                  v
                asset                      links.py, clicks.py, daily_clicks.py, translator.py
                  |
                  v
      loader: source -> warehouse          clicks_loader.py
                  |
                  v
      materialization of each domain       load_result.py, or failures.py
                  |
                  v
        checks of each table               checks/

- `links`, `clicks`, `daily_clicks`: an asset each, with all that is particular to it. A new asset
  is such a file and its name in `link_assets.definitions`.
- `clicks_loader`: loads the domains of a run side by side, each to its last page.
- `progress`: what is read right now, for those who run loads themselves and show them.
- `load_result`: what a load came to, as its materialization shows it.
- `translator`: an asset's key, and its description by the contract.
- `partitions`: the domains that are known, and how new ones are registered.
- `run_requests`: which domains a run loads, and the requests that start such runs.
- `jobs`, `schedules`, `sensors`: what runs, and when.
- `failures`: what a user reads when a load fails.
- `status`: how everything is now, for the command of that name.
- `old_runs`: what is deleted of them, for the command `prune`.
- `configuration`: the location's settings, read once.
- `checks`: one file for each question that is asked of the tables.

Nothing here reads a page or writes a row by itself: that is `source` and `warehouse`, which meet
only here.
"""
