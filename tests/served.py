"""A served report for tests to ask, on the wire as a program does, past what a polite client would send."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path

from srreg.dataset import Dataset

TOKEN = "well-known"


@dataclass(frozen=True)
class Served:
    dataset: Dataset
    port: int

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in small letters) and body; `path` goes on the wire as it stands."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host="Host" in headers)
        sent = {"Content-Length": str(len(body))} if body is not None else {}
        for name, value in {**sent, **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def status(self, path: str, **more: str) -> int:
        return self.ask(path, **more)[0]  # type: ignore[arg-type]

    def rate(self, *ratings: dict[str, object], **headers: str) -> tuple[int, str]:
        body = json.dumps({"format": "srreg-ratings", "version": 1, "ratings": ratings}).encode()
        status, _, content = self.ask(f"/{TOKEN}/ratings", "POST", body, **{"Content_Type": "application/json", **headers})
        return status, content.decode()

    @property
    def file(self) -> Path:
        return self.dataset.root / "qc" / "ratings.tsv"


def rating(subject: str = "1BA007", **other: object) -> dict[str, object]:
    said = {"decision": "reject", "reasons": ["mask"], "comment": "", "rater": "jane", "date": "2026-11-20T10:00:00Z"}
    return {"participant_id": f"sub-{subject}", **said, **other}
