"""Options for programs that are called in this process."""

from collections.abc import Callable

from efnst.program.cli import options_of
from efnst.program.options import parameters_of


def chosen(main: Callable[..., None], **values: object) -> dict[str, object]:
    """What `main` takes for its dataclasses of options when these parameters are given."""
    kinds = options_of(main)
    assert values.keys() <= {name for kind in kinds.values() for name in parameters_of(kind)}
    return {
        argument: kind(**{name: values[name] for name in parameters_of(kind) if name in values})
        for argument, kind in kinds.items()
    }
