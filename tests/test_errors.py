"""Messages of errors: what is wrong, where, and what to do, each a sentence."""

import pytest

import pinpoint
from pinpoint.errors import InputError
from pinpoint.organism import shipped


@pytest.mark.parametrize(("what", "ended"), [("is gone", "is gone."), ("is gone.", "is gone."), ("why?", "why?")])
def test_what_is_wrong_and_what_to_do_are_two_sentences(what: str, ended: str) -> None:
    assert str(InputError(what, where="x.json", mend="Put it back.")) == f"x.json: {ended} Put it back."
    assert str(InputError(what)) == what


def test_a_device_that_there_is_not_is_told_in_a_line() -> None:
    with pytest.raises(InputError) as caught:
        pinpoint.load(shipped()["yesman"], device="gpu")
    assert str(caught.value) == (
        "device: device 'gpu' cannot be used: PyTorch knows no such. Use auto, cpu, cuda, cuda:1 or mps, as this "
        "machine has."
    )
