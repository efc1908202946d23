"""Ray Train's note of a trial's checkpoints, when it is torn."""

from __future__ import annotations

from pathlib import Path

from fcray.sweep.trial import keep_whole


def test_a_torn_snapshot_is_replaced_by_the_last_whole_one(tmp_path: Path) -> None:
    snapshot = tmp_path / "checkpoint_manager_snapshot.json"
    keep_whole(None)
    keep_whole(snapshot)
    assert not snapshot.exists()
    for text in ("", '{"a": '):
        snapshot.write_text('{"a": 1}')
        keep_whole(snapshot)
        snapshot.write_text(text)
        keep_whole(snapshot)
        assert snapshot.read_text() == '{"a": 1}'


def test_a_torn_snapshot_without_a_copy_goes(tmp_path: Path) -> None:
    snapshot = tmp_path / "checkpoint_manager_snapshot.json"
    snapshot.write_text('{"a": ')
    keep_whole(snapshot)
    assert not snapshot.exists()
