"""The commands: `link-assets demo`, `dev` and `sandbox`.

`main` is the group and reads `.env`. A command is one file, which imports Dagster and dlt only when
it runs, so that the others start at once. `before_start` is what commands check before they start
anything, `dagster_home` where Dagster keeps its runs, and `run_demo` what the demo runs and shows.
"""
