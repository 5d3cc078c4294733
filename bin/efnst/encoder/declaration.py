"""What an encoder of the user's own takes, as the JSON file beside it declares it.

    {"name": "mine", "input_px": 224, "layout": "NCHW", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

`input_px` alone has to be there. `./efnst encoder export` writes all of `EncoderDeclaration`.
"""

from pathlib import Path

from pydantic import ValidationError

from efnst.errors import EfnstError
from efnst.program.documents import document_text, load_json
from efnst.records.encoder import EncoderDeclaration, licence_text

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
TOLERATED = (0.5, 1.5)  # of the scale that an encoder was made for, where its declaration says nothing else
SHOWN = 500  # characters of what is wrong


def read_declaration(path: Path, encoder: Path) -> EncoderDeclaration:
    """Read and check the declaration `path` of the file `encoder`, whose name it has unless it says another."""
    if not path.exists():
        raise EfnstError(
            f"Expected `{path.name}` beside `{encoder.name}`, declaring its input (input_px, layout, mean, std), found "
            "no such file. See docs/encoders.md."
        )
    try:
        given = load_json(document_text(path))
        usual = {"name": encoder.stem, "layout": "NCHW", "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
        return EncoderDeclaration.model_validate(usual | given if isinstance(given, dict) else given)
    except ValidationError as error:
        problems = [f"{'/'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors()]
        found = "; ".join(sorted(problems))[:SHOWN]
        raise EfnstError(f"Expected `{path.name}` to declare an encoder, found {found}.") from error
    except ValueError as error:
        raise EfnstError(f"Expected `{path.name}` to be JSON, found: {error}.") from error


def image_shape(declared: EncoderDeclaration) -> tuple[int, int, int]:
    """Shape of one image in the declared layout."""
    px = declared.input_px
    return (3, px, px) if declared.layout == "NCHW" else (px, px, 3)


def window_um(declared: EncoderDeclaration) -> float | None:
    """Width of the tissue that an encoder is to see, in µm; None where it declares no scale."""
    return declared.input_px * declared.um_per_px if declared.um_per_px else None


def scales(declared: EncoderDeclaration) -> tuple[float, float]:
    """The least and the largest scale that an encoder takes, in µm per px; it declares one."""
    given = declared.um_per_px_range or [factor * declared.um_per_px for factor in TOLERATED]
    return min(given), max(given)


def refuse_windows(declared: EncoderDeclaration, widths_um: list[float]) -> None:
    """Raise an `EfnstError` where an encoder would see one of these windows at a scale that it does not take."""
    if not declared.um_per_px:
        return
    least, largest = scales(declared)
    for width in widths_um:
        shown = width / declared.input_px
        if not least <= shown <= largest:
            raise EfnstError(
                f"Expected windows that {declared.name} sees at {least:.3g} to {largest:.3g} µm per px (it was made "
                f"for {declared.um_per_px:.3g}), found {width:g} µm in {declared.input_px} px, {shown:.3g} µm per px. "
                f"Leave out --patch_um, which gives {window_um(declared):g} µm."
            )


def refuse_image(declared: EncoderDeclaration, um_per_px: float) -> None:
    """Raise an `EfnstError` where an image of this scale is coarser than an encoder takes; a finer one is reduced."""
    if declared.um_per_px and um_per_px > scales(declared)[1]:
        raise EfnstError(
            f"Expected an image of at most {scales(declared)[1]:.3g} µm per px for {declared.name}, which was made for "
            f"{declared.um_per_px:.3g}, found one of {um_per_px:.3g} µm per px. Give the full-resolution image in the "
            "samplesheet's column `image`, or another encoder."
        )


def refuse_precision(declared: EncoderDeclaration, precision: str, is_one_file: bool) -> None:
    """Raise an `EfnstError` where an encoder cannot be brought to this `precision` of a run."""
    if precision == "int8" and (declared.precision == "fp16" or not is_one_file):
        found = "one in fp16" if declared.precision == "fp16" else "one whose weights lie in another file"
        raise EfnstError(
            f"Expected an encoder in fp32 in one file for --precision int8, found {found}. Choose --precision fp32."
        )
    if precision == "fp16" and declared.precision != "fp16" and not is_one_file:
        raise EfnstError(
            f"Expected {declared.name} in fp16 for --precision fp16, found its weights in fp32 in another file, too "
            "large to convert here. Export it with `./efnst encoder export … --half`."
        )


def described(declared: EncoderDeclaration) -> dict[str, str]:
    """What a declaration says, as lines for people: what it is about, and the text."""
    lines = {
        "encoder": declared.name,
        "licence": licence_text(declared) or "not declared",
        "source": declared.source or "not declared",
        "input": f"{declared.input_px} px, {declared.layout}, mean {declared.mean}, sd {declared.std}",
        "window": "190 µm, or as --patch_um says: it declares no scale",
        "pooling": declared.pooling or "not declared",
        "precision": declared.precision or "fp32",
        "parity": "not measured",
    }
    if declared.um_per_px:
        least, largest = scales(declared)
        tolerated = f"{declared.um_per_px:g} µm per px; {least:.3g} to {largest:.3g} are taken"
        lines["window"] = f"{window_um(declared):g} µm ({tolerated})"
    if declared.parity:
        parity, ran = declared.parity, declared.parity.versions.get("torch", "")
        lines["parity"] = f"cosine to PyTorch {ran} at least {parity.least_cosine:.6f} on {parity.n_patches} patches"
    return lines
