"""Tests of what names stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcray.errors import UserError
from fcray.serving.names import ModelNames, base_name
from fcray.spec import ModelSpec


def test_a_folder_shows_its_last_part_only(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    assert base_name(ModelSpec(base=str(folder))) == "tiny"
    assert base_name(ModelSpec(base="Qwen/Qwen2.5-7B-Instruct")) == "Qwen/Qwen2.5-7B-Instruct"


@pytest.mark.parametrize(
    ("versions", "aliases", "reason"),
    [
        (["base"], {}, "base model's name"),
        (["v1"], {"v1": "v1"}, "at once"),
        (["v1"], {"base": "v1"}, "at once"),
        (["v1"], {"champion": "v2"}, "not served"),
    ],
)
def test_a_name_stands_for_one_thing(
    versions: list[str], aliases: dict[str, str], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        ModelNames.build("base", versions, aliases)


def test_an_alias_may_stand_for_the_base() -> None:
    assert ModelNames.build("base", [], {"champion": "base"}).resolve("champion") == ("base", None)
