import pytest

from neuralbridge.access.users import check_name
from neuralbridge.errors import InvalidParams


@pytest.mark.parametrize("name", ["ana", "Ana.B", "ana@example.org", "a+b-c_1", "7", "élise", "x" * 64])
def test_a_name_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", " ", "a b", "../x", ".x", "-x", "a/b", "a\0", "a\n", "*", "x" * 65, "'; --"])
def test_what_could_mean_something_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(InvalidParams, match="A user's name has 1 to 64"):
        check_name(name)
