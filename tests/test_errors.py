"""Messages of errors: what is wrong, where, and what to do, each a sentence."""

import pytest

import pinpoint
from pinpoint.errors import ConfigError, InputError, Problems, StorageError
from pinpoint.organism import shipped


@pytest.mark.parametrize(("what", "ended"), [("is gone", "is gone."), ("is gone.", "is gone."), ("why?", "why?")])
def test_what_is_wrong_and_what_to_do_are_two_sentences(what: str, ended: str) -> None:
    assert str(InputError(what, where="x.json", mend="Put it back.")) == f"x.json: {ended} Put it back."
    assert str(InputError(what)) == what


def test_problems_are_told_together_and_one_alone_as_it_is() -> None:
    problems = Problems()
    problems.tell()
    with problems.kept():
        raise ConfigError("is odd.", where="--heads")
    with pytest.raises(ConfigError, match=r"^--heads: is odd\.$"):
        problems.tell()
    problems.add(InputError("is gone.", where="x.json", mend="Put it back."))
    with pytest.raises(ConfigError) as told:
        problems.tell()
    assert str(told.value) == "--heads: is odd.\nx.json: is gone. Put it back."
    with pytest.raises(StorageError), problems.kept():
        raise StorageError("the disk is full")


def test_a_device_that_there_is_not_is_told_in_a_line() -> None:
    with pytest.raises(InputError) as caught:
        pinpoint.load(shipped()["yesman"], device="gpu")
    assert str(caught.value) == (
        "device: device 'gpu' cannot be used: PyTorch knows no such. Use auto, cpu, cuda, cuda:1 or mps, as this "
        "machine has."
    )
