"""The commands: `link-assets demo`, `dev`, `load`, `sandbox`, `status` and others.

`main` is the group and reads `.env`. A command is one file, which imports Dagster and dlt only when
it runs, so that the others start at once. `before_start` is what commands check before they start
anything, and `dagster_home` where Dagster keeps its runs.

    load, demo
        |
        v
    run_load, run_demo     which jobs run, one after the other
        |
        v
    run_job                one run, in this process; stop_signals end it early
        |
        v
    progress, show_load    what is read now (from defs.progress), and what came of it;
                           they print to lasting_output

    status -> show_status  what defs.status finds, as a table or JSON
    report -> run_report   what the clicks come to, as one HTML file
    prune                  deletes old runs (defs.old_runs)
    backup                 and `restore`: copies of the warehouse (warehouse.backup)
"""
