"""How pairs are dealt to processes."""

from pinpoint.data import EncodedPair
from pinpoint.locate._dealt import batches


def pairs(count: int) -> list[EncodedPair]:
    return [EncodedPair([1, i], [2, i], [3], [4]) for i in range(count)]


def test_batches_do_not_depend_on_the_processes_where_each_gets_a_full_one() -> None:
    cut = [[len(some) for some in batches(pairs(70), 32, count, one_by_one=False)] for count in (1, 2)]
    assert cut == [[32, 32, 6]] * 2
    assert [len(some) for some in batches(pairs(24), 32, 1, one_by_one=False)] == [24]
    assert [len(some) for some in batches(pairs(24), 32, 2, one_by_one=False)] == [12, 12]
    assert [len(some) for some in batches(pairs(3), 32, 2, one_by_one=True)] == [1, 1, 1]
