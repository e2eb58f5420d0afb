"""Stratified splits."""

from collections import Counter

from rnnexp.data.splits import stratified_split


def strata() -> list[tuple[str, int]]:
    return [("books", 0)] * 40 + [("books", 1)] * 40 + [("kettles", 0)] * 7 + [("kettles", 1)] * 2


def test_every_stratum_gives_its_share_and_keeps_at_least_one() -> None:
    items = strata()
    kept, off = stratified_split(items, 0.2, seed=0, name="test")
    assert sorted(kept + off) == list(range(len(items)))
    counts = Counter(items[number] for number in off)
    assert counts == {("books", 0): 8, ("books", 1): 8, ("kettles", 0): 1}
    everything, none = stratified_split(items, 0.0, seed=0, name="test")
    assert everything == list(range(len(items))) and none == []
    one_left, _ = stratified_split([("a", 0)] * 3, 0.99, seed=0, name="test")
    assert len(one_left) == 1


def test_the_seed_and_the_name_decide_which_ones() -> None:
    split = stratified_split(strata(), 0.2, seed=0, name="test")
    assert stratified_split(strata(), 0.2, seed=0, name="test") == split
    assert stratified_split(strata(), 0.2, seed=1, name="test") != split
    assert stratified_split(strata(), 0.2, seed=0, name="validation") != split


def test_a_stratum_does_not_depend_on_the_others() -> None:
    _, off = stratified_split(strata(), 0.2, seed=3, name="test")
    _, alone = stratified_split(strata()[:40], 0.2, seed=3, name="test")
    assert [number for number in off if number < 40] == alone
