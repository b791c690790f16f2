import os

import pytest

from drumblender.yaml_check import check_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("a: &a [*a]", "contains itself at line 1"),
        ("x: 1\na: &a\n  b: {c: *a}", "contains itself at line 2"),
        (BOMB, "values with its aliases written out"),
        ("[" * 20000, "nested too deeply|no YAML"),
        ("a: [1, 2", "no YAML.*line 1"),
        ("a: \x07", "no YAML"),
    ],
    ids=["circle", "circle in a mapping", "bomb", "deep", "cut", "bell"],
)
def test_yaml_that_would_hang_or_fail_is_one_sentence(tmp_path, text, reason):
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(ValueError, match=reason) as raised:
        check_yaml(tmp_path / "odd.yaml")
    assert "odd.yaml" in str(raised.value) and "\n" not in str(raised.value)


def test_aliases_are_fine_where_they_are_few(tmp_path):
    (tmp_path / "a.yaml").write_text("x: &x {a: 1}\ny: *x\nz: [*x, *x]\n")
    check_yaml(tmp_path / "a.yaml")
    (tmp_path / "empty.yaml").write_text("")
    check_yaml(tmp_path / "empty.yaml")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ValueError, match="no regular file"):
        check_yaml(tmp_path / "pipe.yaml")
