"""How every program of efnst starts, logs and ends."""

import gc
import json
import logging
import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, NoReturn, get_type_hints

import typer

from efnst import __version__
from efnst.errors import EfnstError, not_allowed
from efnst.machine import lack_of
from efnst.program.arguments import Process
from efnst.program.imports import packages_of
from efnst.program.options import is_options, options_from_text, parameters_of
from efnst.program.parameters import help_of, known_parameters
from efnst.program.scratch import remove_scratch
from efnst.program.spared import BY_ANNDATA, spared
from efnst.program.terminal import printable, printable_output

log = logging.getLogger("efnst")
NEW_OBJECTS = 500_000  # between looks for unreachable ones; with Python's 700 these take a tenth of a short step
PROCESS = Parameter("process", Parameter.KEYWORD_ONLY, default=None, annotation=Process)


def run(main: Callable[..., None]) -> None:
    """Run `main` as a command line program.

    Each argument of `main` that is a dataclass of options (program/options.py) becomes one option `--name VALUE` for
    each of its parameters, with help, allowed values and default from nextflow_schema.json. With `--process NAME` the
    versions of all that the program imports are written to versions.yml.

    Exit status 0: done; 2: an `EfnstError`, printed without a traceback. With `--failure FILE` on the command line an
    `EfnstError` becomes a record in FILE (`sample`, `step`, `reason`) and the status is 0, so that a cohort can go on;
    with `--failures` it becomes OUTDIR/SAMPLE/failure.json of each sample. Where the machine ran out of memory or disk
    or lost a file, the status is one that is tried again.
    """
    gc.set_threshold(NEW_OBJECTS)
    os.environ["PYTHONSAFEPATH"] = "1"  # its own processes take no modules from the current folder, a stranger's maybe
    with printable_output(sys.stdout, sys.stderr), spared(*BY_ANNDATA):
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        app.command(context_settings={"help_option_names": ["-h", "--help"]})(with_options(main))
        try:
            app()
        except Exception as error:
            sys.exit(_ended_badly(error))


def _ended_badly(error: Exception) -> int:
    """Say why a program ends, and return its exit status; where the machine lacks something, end at once."""
    step, samples, failures = Path(sys.argv[0]).stem, _given(sys.argv, "--sample"), _given(sys.argv, "--failure")
    sample = samples[0] if len(samples) == 1 else ""
    lack = lack_of(error)
    if isinstance(error, PermissionError):
        error = not_allowed(error.filename)
    is_of_user = lack is None and isinstance(error, EfnstError)
    if not is_of_user:
        traceback.print_exc()
    if lack is None and not is_of_user:
        return 1
    text = str(error) if is_of_user else f"{lack.what} ({error}). The step has to be run again."
    reason = printable(f"{sample}: {text}" if sample else text)
    print(f"{step}: {reason}", file=sys.stderr)
    if not is_of_user:
        _end_at_once(lack.status)
    if failures:
        write_failure(Path(failures[0]), sample, step, reason)
        return 0
    if "--failures" in sys.argv:
        outdir = Path([".", *_given(sys.argv, "--outdir")][-1])
        for each in samples:
            write_failure_of(outdir, each, step, text)
        return 0
    return 2


def _end_at_once(status: int) -> NoReturn:
    """End with this status before libraries close their files: HDF5 crashes over one that was left half written."""
    remove_scratch()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextmanager
def left_out(sample: str, step: str, outdir: Path, n_samples: int, failures: bool) -> Iterator[None]:
    """With `failures`, what is wrong with one section becomes its OUTDIR/SAMPLE/failure.json, and the others go on.

    So does, where there are others, an error that is none of the user's; its traceback is printed. What the machine
    lacks passes: all of them are tried again.
    """
    try:
        yield
    except Exception as error:
        is_of_user = isinstance(error, EfnstError)
        if not failures or lack_of(error) or not (is_of_user or n_samples > 1):
            raise
        if not is_of_user:
            traceback.print_exc()
        text = str(error) if is_of_user else f"unexpected {type(error).__name__}: {error}"
        write_failure_of(outdir, sample, step, text)


def write_failure_of(outdir: Path, sample: str, step: str, problem: str) -> None:
    """Write the record of one of several sections, and say why it ends here."""
    reason = printable(f"{sample}: {problem}")
    log.warning("%s", reason)
    (outdir / sample).mkdir(parents=True, exist_ok=True)
    write_failure(outdir / sample / "failure.json", sample, step, reason)


def write_failure(path: Path, sample: str, step: str, reason: str) -> None:
    """Write the record of a section that ends here."""
    from efnst.records.base import write_record
    from efnst.records.cohort import Failure

    write_record(path, Failure(sample=sample, step=step, reason=reason))


def write_warnings(outdir: Path, warnings: list[str]) -> None:
    """Log what the user should know, and write it to warnings.txt, if anything, for the log of the run."""
    lines = [printable(warning) for warning in warnings]
    for line in lines:
        log.warning("%s", line)
    if lines:
        (outdir / "warnings.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def with_options(main: Callable[..., None]) -> Callable[..., None]:
    """`main` for typer: dataclasses of options taken apart into their parameters, as text."""
    kinds = options_of(main)
    names = parameters_of_all(kinds)

    @wraps(main)
    def command(**given: object) -> None:
        if process := given.pop("process"):
            Path("versions.yml").write_text(versions_entry(process, *packages_of(Path(sys.argv[0]))))
        texts = {name: given.pop(name) for name in names}
        chosen = options_from_text(kinds, {name: text for name, text in texts.items() if text is not None})
        spare_inputs(Path(sys.argv[0]).stem, given)
        main(**given, **chosen)

    hints = get_type_hints(main, include_extras=True)
    kept = [each.replace(annotation=hints[each.name]) for each in signature(main).parameters.values()]
    kept = [each for each in kept if each.name not in kinds] + [PROCESS] + [_parameter(name) for name in names]
    command.__signature__ = signature(main).replace(parameters=sorted(kept, key=lambda each: each.kind))
    command.__annotations__ = {each.name: each.annotation for each in kept}
    return command


def spare_inputs(step: str, given: dict[str, object]) -> None:
    """Refuse to run where a result of the program `step` would be written over one of the files it is given."""
    from efnst.records.files import FILES

    outdir, sample = Path(str(given.get("outdir", "."))), given.get("sample", "")
    names = [file.name for file in FILES if step.upper() in file.step]
    written = [outdir / name.replace("<sample>", sample) for name in names if isinstance(sample, str)]
    written += [outdir / each / name for each in sample for name in names if isinstance(sample, list)]
    values = [value for name, value in given.items() if name not in ("outdir", "failure", "problems")]
    inputs = [str(path) for value in values for path in (value if isinstance(value, list) else [value])]
    for result in filter(os.path.isfile, written):
        if any(os.path.isfile(path) and os.path.samefile(path, result) for path in inputs):
            raise EfnstError(f"Expected another --outdir: `{result}` is one of the inputs and would be overwritten.")


def options_of(main: Callable[..., None]) -> dict[str, type]:
    """The arguments of a program's `main` that are dataclasses of options."""
    return {name: kind for name, kind in get_type_hints(main).items() if is_options(kind)}


def parameters_of_all(kinds: dict[str, type]) -> list[str]:
    """The parameters of several dataclasses of options, each once."""
    return list(dict.fromkeys(name for kind in kinds.values() for name in parameters_of(kind)))


def _parameter(name: str) -> Parameter:
    """A parameter of the pipeline as an option of a program, still text."""
    option = typer.Option(f"--{name}", help=help_of(known_parameters()[name]), metavar="VALUE", show_default=False)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option])


def write_json(path: Path, content: object) -> None:
    """Write `content` as indented JSON; non-finite numbers are refused because JSON has none."""
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict:
    """Read a JSON file that is no record of a step (`efnst.records`)."""
    return json.loads(path.read_text())


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of `unit`s done; on a terminal it draws a bar with rate and time left."""
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", disable=None, leave=False, mininterval=0.5) as bar:
        yield bar.update


def versions(*packages: str) -> dict[str, str]:
    """Versions of efnst, Python and the named packages."""
    return {"efnst": __version__, "python": platform.python_version()} | {name: _version(name) for name in packages}


def versions_entry(process: str, *packages: str) -> str:
    """One entry of versions.yml: what a process ran with."""
    numbers = [f"  {name}: {number}\n" for name, number in versions(*packages).items()]
    return f'"{process}":\n' + "".join(numbers)


def _version(package: str) -> str:
    """The version of `package`, whichever of its distributions is installed."""
    for distribution in (package, *(f"{package}-{kind}" for kind in ("gpu", "openvino"))):  # those of onnxruntime
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    raise PackageNotFoundError(package)


def _given(arguments: list[str], name: str) -> list[str]:
    """The values of each `--name VALUE` or `--name=VALUE` in `arguments`."""
    pairs = zip(arguments, [*arguments[1:], None], strict=True)
    found = (after if each == name else each.partition("=")[2] for each, after in pairs if each.split("=")[0] == name)
    return [value for value in found if value is not None]
