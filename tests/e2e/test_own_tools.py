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
