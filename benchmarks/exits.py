"""From what ends a benchmark to its exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from benchmarks.figures import WrongTotalError
from benchmarks.processes import ProcessEndedError
from runtime.process import ExitCode
from smslab.kafka.apache import BrokerError
from smslab.kafka.jars import DownloadError


def exit_code_of(work: Callable[[], None]) -> int:
    """Do it; what goes wrong is said on stderr. Any other error is a defect and is raised."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # leaders of new topics: it retries
    try:
        work()
    except (WrongTotalError, ProcessEndedError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return int(ExitCode.ANSWER_IS_NO)
    except (DownloadError, BrokerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return int(ExitCode.DEPENDENCY_UNREACHABLE)
    return int(ExitCode.DONE)
