"""Work that a file of a stranger decides the length of, in a process of its own that can be ended."""

import math
import resource
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection

from efnst.errors import EfnstError

WAIT = 10  # seconds of the clock for each second of computing, on a machine that others use, too


class NotAnsweredError(Exception):
    """The work took longer than it may, or its process crashed; the message says which."""


def run_apart(seconds: float, work: Callable[..., object], *arguments: object) -> object:
    """What `work(*arguments)` returns, which has `seconds` of computing for it, all threads together.

    It runs in a new process, so that neither an endless loop nor a crash inside of a library takes this one along; both
    raise `NotAnsweredError`. The clock does not count, up to `WAIT` times as long: where many run at once, all of them
    are slow. An `EfnstError` and what the machine lacked are passed on, MemoryError also where the machine killed the
    process. Any other error is a bug: RuntimeError, with its traceback in the log.
    """
    context = get_context("spawn")  # a fork would inherit locks of threads that it does not have
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, seconds, work, *arguments), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(WAIT * seconds):
            raise NotAnsweredError(f"it took more than {WAIT * seconds:.0f} s")
        outcome = receiver.recv()
    except EOFError as error:
        process.join()
        if process.exitcode == -signal.SIGXCPU:
            raise NotAnsweredError(f"it computed for more than {seconds:.0f} s") from error
        if process.exitcode == -signal.SIGKILL:
            raise MemoryError("a process was killed, as the system does when memory runs out") from error
        if process.exitcode > 0:
            raise RuntimeError("a process ended in the error above") from error
        raise NotAnsweredError(f"it crashed with signal {-process.exitcode}") from error
    finally:
        process.kill()
        process.join()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _answer(sender: Connection, seconds: float, work: Callable[..., object], *arguments: object) -> None:
    """In the process: send what the work returns, or the error that it ended in, of the user's or the machine."""
    used = resource.getrusage(resource.RUSAGE_SELF)  # for what was imported
    most = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    try:
        outcome = work(*arguments)
    except (EfnstError, OSError, MemoryError) as error:
        outcome = error
    sender.send(outcome)
