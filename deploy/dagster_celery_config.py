"""The workers' settings: dagster_celery.app imports this module from PYTHONPATH."""

import os

broker_url = result_backend = os.environ["LINK_ASSETS_BROKER"]
# a run that waits is taken by the worker that is free, and none is reserved by one that is not
worker_disable_prefetch = True
worker_prefetch_multiplier = 1
# the message of a run that began is gone: Dagster retries the run, Redis must not send it again
task_acks_late = False
worker_cancel_long_running_tasks_on_connection_loss = False
# one run at a time, in a process of its own
worker_concurrency = 1
worker_max_tasks_per_child = 1
# the worker imports what its runs need, once for all of them
imports = ["link_assets.definitions"]
# a broker that comes back is found within seconds
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
result_expires = 604800
# which worker had a run, to be found in the broker
result_extended = True
