"""Read and write images: the one file that calls nibabel's readers and writers.

A file is proved whole before anything decodes it: its gzip stream is read to the checksum at its
end and the length of the body compared with the header. What is written has one geometry
(sform = qform), a header that says nothing about anybody, and the same bytes for the same voxels.
"""

import gzip
import io
import logging
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from srreg.displacement import Displacement
from srreg.errors import DataError, GeometryError
from srreg.files import write_whole
from srreg.geometry import vectors_ras_lps
from srreg.volume import Affine, Grid, LabelMap, Volume

log = logging.getLogger(__name__)

_HEADER_BYTES = 348  # NIfTI-1
_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_AXIS = 2048
_LARGEST_BODY = 2 * 1024**3  # a whole head at 0.5 mm as float64 is 1.1 GB
_FORMS_DIFFER_MM = 0.1
_UNIT_BITS = 0b111  # of NIfTI's xyzt_units, those of space; 0 is unknown and taken for mm, as everybody does
_OTHER_UNITS = {1: "metres", 3: "micrometres"}
_ALIGNED = 2  # NIfTI form code "aligned"
Behind = tuple[int, ...]  # lengths of the axes that follow the three of the grid
_VECTOR_AXES: Behind = (1, 3)
_VECTOR = 1007  # NIfTI intent of a vector per voxel: ITK's and ANTs' displacement files


def read_volume(path: Path, affine: Affine | None = None) -> Volume:
    """Read an image (NIfTI-1, `.nii` or `.nii.gz`).

    Args:
        path: the file.
        affine: [4, 4], where its voxels lie, whatever the file says; None: as the file says.

    Raises:
        DataError: missing, damaged, not three axes of at least two voxels, colours or complex numbers, not finite, or constant.
        GeometryError: no orientation, or an affine that cannot be.
    """
    image = _decode(path)
    with np.errstate(over="ignore"):  # what float32 cannot hold ends as infinite, and is refused
        data = _voxels(image).astype(np.float32)
    if not np.isfinite(data).all():
        raise DataError(f"{path}: {np.count_nonzero(~np.isfinite(data))} voxels are not finite numbers")
    if data.min() == data.max():
        raise DataError(f"{path}: no signal, every voxel is {data.flat[0]:g}")
    return Volume(data, _affine(image, path) if affine is None else affine)


def read_labels(path: Path, affine: Affine | None = None) -> LabelMap:
    """Read a label map or a mask; whole numbers stored as floats are taken.

    Args:
        path: the file.
        affine: [4, 4], where its voxels lie, whatever the file says; None: as the file says.

    Raises:
        DataError: missing, damaged, or voxels that are not labels.
        GeometryError: no orientation, or an affine that cannot be.
    """
    image = _decode(path)
    try:
        return LabelMap(_voxels(image), _affine(image, path) if affine is None else affine)
    except DataError as error:
        raise type(error)(_named(error, path)) from error


def _named(error: DataError, path: Path) -> str:
    """The message with the file before it, once."""
    return str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}"


def _decode(path: Path, behind: Behind = ()) -> nib.nifti1.Nifti1Image:
    body = _read(path, behind)
    _check_length(body, _header(body[:_HEADER_BYTES], path, behind), path)
    try:
        return nib.nifti1.Nifti1Image.from_bytes(body)
    except Exception as error:  # nibabel raises many kinds for extensions that are noise
        raise DataError(f"{path}: its header cannot be understood ({error})") from error


def _voxels(image: nib.nifti1.Nifti1Image, behind: Behind = ()) -> NDArray[np.generic]:
    """[D, H, W, *behind]; further axes of one voxel are dropped."""
    with np.errstate(invalid="ignore", over="ignore"):
        voxels: NDArray[np.generic] = np.asanyarray(image.dataobj)
    return voxels.reshape(*image.shape[:3], *behind)


def _read(path: Path, behind: Behind) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not raw:
        raise DataError(f"{path}: is empty (0 bytes). Download it again.")
    if raw[:1] == b"<":
        raise DataError(f"{path}: is a web page, not an image; the download was probably refused")
    is_gzip, is_named_gzip = raw[:2] == _GZIP_MAGIC, path.name.endswith(".gz")
    if is_gzip != is_named_gzip:
        raise DataError(f"{path}: its name says {'gzip' if is_named_gzip else 'not gzip'}, its bytes say otherwise. Rename it.")
    return _unpacked(raw, path, behind) if is_gzip else raw


def _unpacked(raw: bytes, path: Path, behind: Behind) -> bytes:
    """What the gzip holds, up to the checksum at its end, but never more than the image's header promises."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            start = stream.read(_HEADER_BYTES)
            limit = _expected_bytes(_header(start, path, behind), path)
            # One byte more than there should be: to find it missing, the reader must check the sum.
            return start + stream.read(limit - len(start) + 1)
    except EOFError as error:
        raise DataError(f"{path}: was cut off, its gzip stream has no end. Download it again.") from error
    except (OSError, zlib.error) as error:
        raise DataError(f"{path}: is damaged ({error}). Download it again.") from error


def _header(start: bytes, path: Path, behind: Behind) -> nib.nifti1.Nifti1Header:
    if len(start) < _HEADER_BYTES:
        raise DataError(f"{path}: too short for an image ({len(start)} bytes). Download it again.")
    try:
        header = nib.nifti1.Nifti1Header(start[:_HEADER_BYTES])
        shape, kind = header.get_data_shape(), header.get_data_dtype()
        header.get_slope_inter()
    except Exception as error:  # nibabel raises many kinds for a header that is noise
        raise DataError(f"{path}: is not a NIfTI-1 image ({error})") from error
    _check_shape(shape, path, behind)
    _check_sizes(nib.nifti1.Nifti1Header(start[:_HEADER_BYTES], check=False), path)
    if kind.fields is not None or kind.kind not in "iuf":
        raise DataError(f"{path}: expected one real number a voxel, got {kind}")
    if not np.isfinite(header["vox_offset"]):
        raise DataError(f"{path}: its header does not say where the voxels begin (vox_offset {header['vox_offset']})")
    return header


def _check_sizes(raw: nib.nifti1.Nifti1Header, path: Path) -> None:
    """Voxel sizes as they stand there: nibabel makes 1 of 0 and 4 of -4. They count only where there is no sform."""
    sizes = raw["pixdim"][1:4]
    if int(raw["sform_code"]) <= 0 and not (np.isfinite(sizes) & (sizes > 0)).all():
        raise GeometryError(f"{path}: expected voxels of a size above 0 mm, got {', '.join(f'{size:g}' for size in sizes)}")


def _check_shape(shape: tuple[int, ...], path: Path, behind: Behind) -> None:
    while len(shape) > 3 + len(behind) and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) < 3 or shape[3:] != behind or min(shape[:3]) < 2 or max(shape) > _LONGEST_AXIS:
        further = "".join(f", then {n}" for n in behind)
        raise DataError(f"{path}: expected three axes of 2 to {_LONGEST_AXIS} voxels{further}, got shape {tuple(shape)}")


def _expected_bytes(header: nib.nifti1.Nifti1Header, path: Path) -> int:
    voxels = int(np.prod([int(n) for n in header.get_data_shape()]))
    expected = max(int(header["vox_offset"]), _HEADER_BYTES) + voxels * header.get_data_dtype().itemsize
    if expected > _LARGEST_BODY:
        raise DataError(f"{path}: its header asks for {expected / 1024**3:.1f} GB, more than a head can need (2 GB)")
    return expected


def _check_length(body: bytes, header: nib.nifti1.Nifti1Header, path: Path) -> None:
    expected = _expected_bytes(header, path)
    if len(body) != expected:
        raise DataError(
            f"{path}: its header asks for {expected} bytes, there are {'more' if len(body) > expected else len(body)}. "
            "Download it again."
        )


def _affine(image: nib.nifti1.Nifti1Image, path: Path) -> Affine:
    """Voxel to world by the written rule: the sform where its code is set, else the qform, else none."""
    header = image.header
    s_code, q_code = int(header["sform_code"]), int(header["qform_code"])
    if int(header["xyzt_units"]) & _UNIT_BITS in _OTHER_UNITS:
        unit = _OTHER_UNITS[int(header["xyzt_units"]) & _UNIT_BITS]
        raise GeometryError(f"{path}: says that its voxels are measured in {unit}; expected millimetres. Convert it.")
    if s_code == 0 and q_code == 0:
        raise GeometryError(f"{path}: says nothing about its orientation (sform and qform codes are 0)")
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            sform, qform = header.get_sform(), header.get_qform()
            d, h, w = image.shape[:3]
            chosen = Grid((d, h, w), sform if s_code > 0 else qform)
            is_one = s_code <= 0 or q_code <= 0 or chosen.matches(Grid(chosen.shape, qform), _FORMS_DIFFER_MM)
        if not is_one:
            log.warning("%s: sform and qform differ by more than %s mm; the sform is used", path, _FORMS_DIFFER_MM)
    except (GeometryError, ValueError, HeaderDataError) as error:
        raise GeometryError(f"{path}: {error}") from error
    return chosen.affine


def write_volume(path: Path, volume: Volume) -> None:
    """Write float32 voxels as `.nii.gz`; the same volume gives the same bytes."""
    _write(path, volume.data, volume.affine)


def write_labels(path: Path, labels: LabelMap) -> None:
    """Write labels as uint8 where they fit, else int16."""
    small = labels.data.max() <= 255
    _write(path, labels.data.astype(np.uint8) if small else labels.data, labels.affine)


def write_displacement(path: Path, displacement: Displacement) -> None:
    """Write a field as ITK and ANTs read it: one vector a voxel, world millimetres, LPS."""
    vectors = vectors_ras_lps(displacement.to_millimetres()).astype(np.float32)
    _write(path, vectors[:, :, :, None, :], displacement.affine, intent=_VECTOR)


def read_displacement(path: Path) -> Displacement:
    """Read a field that `write_displacement`, ITK or ANTs wrote.

    Raises:
        DataError: missing, damaged, or not one vector of three a voxel.
        GeometryError: no orientation, or an affine that cannot be.
    """
    image = _decode(path, _VECTOR_AXES)
    vectors = _voxels(image, _VECTOR_AXES)[:, :, :, 0, :].astype(np.float32)
    affine = _affine(image, path)
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # what overflows is not finite, and is refused
            return Displacement.from_millimetres(vectors_ras_lps(vectors), affine)
    except DataError as error:
        raise type(error)(_named(error, path)) from error


def _write(path: Path, data: NDArray[np.generic], affine: Affine, intent: int = 0) -> None:
    image = nib.nifti1.Nifti1Image(data, affine)
    image.header.set_sform(affine, code=_ALIGNED)
    image.header.set_qform(affine, code=_ALIGNED)
    image.header.set_xyzt_units("mm")
    if intent:
        image.header.set_intent(intent, allow_unknown=True)
    content = io.BytesIO()
    # mtime 0 and no name: the same voxels give the same bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=content, compresslevel=6, mtime=0) as stream:
        stream.write(image.to_bytes())
    write_whole(path, content.getvalue())
