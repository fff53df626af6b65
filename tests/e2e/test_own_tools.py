"""A build with tools of one's own, named on the command line."""

import json

from building import IDS, srreg, write_heads
from fake_tools import BRAIN, LABELS, write_tool

from srreg.dataset import file_of
from srreg.io import read_labels


def build(source, out, strip, segment, *more):
    line = "{input} {output} --threads {threads}"
    return srreg(
        "build", "--synthrad-dir", source, "--out", out, "--size", "quarter", "--align", "center",
        "--skull-stripper", f"command:{strip} {line}", "--segmenter", f"command:{segment} {line}", *more,
    )  # fmt: skip


def test_two_commands_build_a_data_set_and_a_changed_one_redoes_its_own_step(tmp_path):
    source, out = write_heads(tmp_path / "source", IDS[:1]), tmp_path / "sr-reg"
    strip = write_tool(tmp_path / "bin" / "strip", f"write({BRAIN})")
    segment = write_tool(tmp_path / "bin" / "segment", f"write({LABELS})")
    done = build(source, out, strip, segment)
    assert done.returncode == 0, done.stderr
    assert read_labels(file_of(out, IDS[0], "labels")).values == (0, 2, 3)
    assert str(tmp_path) not in file_of(out, IDS[0], "labels", ".json").read_text()
    write_tool(segment, f"write({LABELS})  # a new version")
    told = json.loads(build(source, out, strip, segment, "--dry-run", "--json").stdout)
    assert "segment_brain" in told["why"][IDS[0]]
    assert "strip_skull" not in told["why"][IDS[0]]


def test_each_failure_carries_its_code_in_json_and_log(tmp_path):
    source, out = write_heads(tmp_path / "source", IDS[:4]), tmp_path / "sr-reg"
    (source / "Task1" / "brain" / IDS[3] / "ct.nii.gz").unlink()
    segment = write_tool(tmp_path / "segment", f"write({LABELS})")
    strip = write_tool(
        tmp_path / "strip",
        f"n = Path({str(tmp_path / 'count')!r}); n.write_text(n.read_text() + 'x' if n.exists() else 'x')\n"
        f"if len(n.read_text()) == 1: sys.exit('no licence')\nif len(n.read_text()) == 2: sys.exit()\nwrite({BRAIN})",
    )
    done = build(source, out, strip, segment, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["codes"] == {IDS[0]: "SRR-120", IDS[1]: "SRR-130", IDS[3]: "SRR-300"}
    log = (out / ".build" / "log.txt").read_text()
    assert all(f"[SRR-{code}]" in log for code in (120, 130))
