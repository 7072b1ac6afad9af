"""Which processes there are and what each gets: the one place to start reading.

client ──▶ proxy worker ──▶ upstream            (proxy/, one process per worker)
                │ └──▶ shadows
                ▼ one record per exchange
              spool                              (store/spool/)
                │
                ▼ read by the monitor            (driftline/monitor.py, one process)
    store loader · detectors · alerts · admin API
"""

from __future__ import annotations

import os

from config.addresses import Address
from config.settings import Settings
from driftline.monitor_task import DRAIN_SECONDS, MonitorTask
from driftline.supervisor import ChildPlan, listen
from driftline.worker import WorkerTask


def worker_plans(settings: Settings) -> tuple[list[ChildPlan], str]:
    """Return the plans of the proxy's workers, their sockets listening already, and the address that clients use.

    Raises OSError with a sentence for the user.
    """
    spool = settings.spool_directory
    try:
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OSError(f"cannot make the spool's directory {spool}: {error.strerror}; choose another one with --data-dir or --spool") from None
    if not os.access(spool, os.W_OK | os.X_OK):
        raise OSError(f"cannot write to the spool's directory {spool}; choose another one or change its owner")
    sockets = listen(settings.proxy.listen, settings.proxy.workers)
    host, port = sockets[0].getsockname()[:2]
    plans = [
        ChildPlan(
            name=f"worker-{index}",
            module="driftline.worker",
            task=WorkerTask(settings, spool, index, listening.fileno()),
            stage=0,
            stop_seconds=settings.proxy.grace + 5,
            pass_fds=(listening.detach(),),
        )
        for index, listening in enumerate(sockets)
    ]
    return plans, f"http://{Address(host, port)}"


def monitor_plan(settings: Settings) -> ChildPlan:
    """Return the plan of the watching side, which stops after the workers: then it can bring their last records into the store."""
    return ChildPlan(name="monitor", module="driftline.monitor", task=MonitorTask(settings), stage=1, stop_seconds=DRAIN_SECONDS + 15)
