"""Weights of a network: from a file, a folder, or the hub with the user's own login; no code of theirs is run."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from efnst.errors import EfnstError, require_ordinary

ENDINGS = (".safetensors", ".bin", ".pth", ".pt")  # in the order in which a folder's files are preferred
SHARD = re.compile(r"-\d+-of-\d+\.")
WRAPPERS = ("state_dict", "model", "teacher", "module")  # under which training programs keep weights
PREFIXES = ("module.", "backbone.", "encoder.", "model.")  # which they put before names
ON_THE_HUB = ("model.safetensors", "pytorch_model.bin")

State = dict[str, Tensor]


def weight_files(given: Path) -> list[Path]:
    """The files of weights that `given` is or holds: one, or the parts of one."""
    if not given.exists():
        raise EfnstError(f"Expected weights in `{given}`, found no such file or folder.")
    require_ordinary(given)
    if given.is_file():
        return [given]
    for ending in ENDINGS:
        found = sorted(path for path in given.iterdir() if path.suffix == ending)
        if len(found) == 1 or (found and all(SHARD.search(path.name) for path in found)):
            return found
        if found:
            raise EfnstError(f"Expected one file of weights in `{given}`, found {names(found)}: name one of them.")
    raise EfnstError(f"Expected a file of weights ({', '.join(ENDINGS)}) in `{given}`, found none.")


def names(files: Iterable[Path]) -> str:
    """The first of the files' names."""
    return ", ".join(f"`{path.name}`" for path in list(files)[:5])


def from_hub(repository: str) -> list[Path]:
    """The file of weights of a repository, downloaded by the hub's own client, with the user's login."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError

    for name in ON_THE_HUB:
        try:
            return [Path(hf_hub_download(repository, name))]
        except LocalEntryNotFoundError as error:  # one of EntryNotFoundError, of a cache without a network
            raise _not_had(repository, "no network") from error
        except EntryNotFoundError:
            continue
        except GatedRepoError as error:
            raise _not_had(repository, "no leave of its authors (ask on its page, and log in)") from error
        except Exception as error:  # the client raises types of several libraries
            raise _not_had(repository, f"{type(error).__name__}: {str(error)[:200]}") from error
    raise _not_had(repository, f"neither of {', '.join(ON_THE_HUB)}")


def _not_had(repository: str, found: str) -> EfnstError:
    """The error for weights that could not be downloaded."""
    return EfnstError(
        f"Expected the weights of {repository} from the hub, found {' '.join(found.split())}. Fetch the file by other "
        "means and give it with --weights; docs/encoders.md says how, with and without a network."
    )


def read_state(files: list[Path]) -> State:
    """The weights in `files` by name, unpacked from what training programs put around them."""
    state: State = {}
    for path in files:
        state |= _unwrapped(_read(path))
    prefix = next((one for one in PREFIXES if all(key.startswith(one) for key in state)), "")
    return {key.removeprefix(prefix): value for key, value in state.items()}


def _read(path: Path) -> dict:
    """What a file of weights holds; tensors, numbers and text only."""
    from safetensors.torch import load_file

    try:
        return load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # both raise many types for what they do not read
        raise EfnstError(
            f"Expected `{path.name}` to hold weights (safetensors, or a state dictionary of PyTorch), found: "
            f"{' '.join(str(error).split())[:200]}."
        ) from error


def _unwrapped(content: object) -> State:
    """The tensors of a state, which may lie under one of the names of `WRAPPERS`."""
    inner = next((content[key] for key in WRAPPERS if isinstance(content, dict) and key in content), None)
    if isinstance(inner, dict):
        return _unwrapped(inner)
    tensors = {key: value for key, value in dict(content).items() if isinstance(value, Tensor)}
    if not tensors:
        raise EfnstError("Expected a state dictionary of PyTorch, found no tensors in it.")
    return tensors


def fill(network: torch.nn.Module, state: State, convert: Callable[[State], State], spare: tuple[str, ...]) -> None:
    """Load `state` into `network` whole; it may hold more only under names that begin with those in `spare`.

    `convert` brings names and shapes of other releases to those of the network.
    """
    try:
        missing, unknown = network.load_state_dict(convert(state), strict=False)
    except Exception as error:  # shapes that do not fit, in the words of PyTorch
        raise _unfit(" ".join(str(error).split())[:300]) from error
    unknown = [key for key in unknown if not key.startswith(spare)]
    if missing or unknown:
        shown = ", ".join([*missing[:3], *unknown[:3]])
        raise _unfit(f"{len(missing)} missing and {len(unknown)} unknown ({shown})")


def _unfit(found: str) -> EfnstError:
    """The error for weights of another network."""
    return EfnstError(
        f"Expected weights of this network, found {found}. Give the file of this network, or name the architecture "
        "that the file is of."
    )
