"""Work that a file of a stranger decides the length of, in a process of its own that can be ended."""

from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection

from efnst.errors import EfnstError

KILLED = -9


class NotAnsweredError(Exception):
    """The work took longer than it may, or its process crashed; the message says which."""


def run_apart(seconds: float, work: Callable[..., object], *arguments: object) -> object:
    """What `work(*arguments)` returns, which has `seconds` for it.

    It runs in a new process, so that neither an endless loop nor a crash inside of a library takes this one along; both
    raise `NotAnsweredError`. An `EfnstError` is passed on, any other error is a bug: RuntimeError, with its traceback
    in the log. Raises MemoryError where the machine killed the process.
    """
    context = get_context("spawn")  # a fork would inherit locks of threads that it does not have
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, work, *arguments), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise NotAnsweredError(f"it took more than {seconds:.0f} s")
        outcome = receiver.recv()
    except EOFError as error:
        process.join()
        if process.exitcode == KILLED:
            raise MemoryError("a process was killed, as the system does when memory runs out") from error
        if process.exitcode > 0:
            raise RuntimeError("a process ended in the error above") from error
        raise NotAnsweredError(f"it crashed with signal {-process.exitcode}") from error
    finally:
        process.kill()
        process.join()
    if isinstance(outcome, EfnstError):
        raise outcome
    return outcome


def _answer(sender: Connection, work: Callable[..., object], *arguments: object) -> None:
    """In the process: send what the work returns, or the error for the user that it ended in."""
    try:
        outcome = work(*arguments)
    except EfnstError as error:
        outcome = error
    sender.send(outcome)
