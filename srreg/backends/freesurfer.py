"""FreeSurfer's programs: where they and their networks lie, and whether these are the published ones."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from srreg.files import sha256_once

_WHERE = "install FreeSurfer (https://surfer.nmr.mgh.harvard.edu) and source its SetUpFreeSurfer.sh"


@dataclass(frozen=True)
class Program:
    """A program that finds its network below FREESURFER_HOME.

    Args:
        name: as it is called.
        since: the first release that has it.
        network: its file in `models`.
        network_sha256: of the published file.
    """

    name: str
    since: str
    network: str
    network_sha256: str

    def check(self) -> list[str]:
        """What is missing: the program, its network, or the published network."""
        if self._path is None:
            return [f"{self.name} is not on PATH; it comes with FreeSurfer {self.since} or newer: {_WHERE}"]
        network = self._home / "models" / self.network
        if not network.is_file():
            return [f"{self.name} has no network {self.network} in models below FREESURFER_HOME: {_WHERE}"]
        found = sha256_once(network)
        if found != self.network_sha256:
            return [f"{network} is damaged or another release (sha256 {found}, expected {self.network_sha256}): {_WHERE}"]
        return []

    @property
    def release(self) -> str:
        """The release it belongs to, in FreeSurfer's words."""
        stamp = self._home / "build-stamp.txt"
        return stamp.read_text(encoding="utf-8", errors="replace").strip() if stamp.is_file() else "of an unknown release"

    def fingerprint(self) -> str:
        """Release and digest of the network."""
        return f"{self.name} {self.release} {self.network_sha256}"

    def environment(self) -> dict[str, str]:
        """What it must be told."""
        return {"FREESURFER_HOME": str(self._home)}

    @property
    def _path(self) -> str | None:
        return shutil.which(self.name)

    @property
    def _home(self) -> Path:
        """As FreeSurfer's set-up script says; without it, the folder above that of the program."""
        told = os.environ.get("FREESURFER_HOME")
        return Path(told) if told else Path(self._path or "").resolve().parent.parent
