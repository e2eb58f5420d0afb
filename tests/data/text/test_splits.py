"""Stratified splits, of single items and of groups."""

from collections import Counter

from rnnexp.data.text.splits import grouped_split, stratified_split


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


GROUPS = [number // 3 if number < 60 else number for number in range(100)]  # 20 triples, 40 alone
STRATA = ["a"] * 30 + ["b", "b", "a"] * 10 + ["b"] * 40


def test_groups_stay_together_and_every_stratum_gives_its_share_of_them() -> None:
    """Stratum a has 10 groups; stratum b has 10 mixed triples and 40 single items."""
    kept, off = grouped_split(GROUPS, STRATA, 0.2, seed=0, name="test")
    assert sorted(kept + off) == list(range(100)) and off == sorted(off) and kept == sorted(kept)
    assert not {GROUPS[number] for number in kept} & {GROUPS[number] for number in off}
    chosen = {GROUPS[number] for number in off}
    assert sum(group < 10 for group in chosen) == 2
    assert sum(group >= 10 for group in chosen) == 10


def test_a_group_split_is_a_function_of_its_seed_and_name() -> None:
    split = grouped_split(GROUPS, STRATA, 0.2, seed=0, name="test")
    assert grouped_split(GROUPS, STRATA, 0.2, seed=0, name="test") == split
    assert grouped_split(GROUPS, STRATA, 0.2, seed=1, name="test") != split
    assert grouped_split(GROUPS, STRATA, 0.2, seed=0, name="validation") != split
    assert grouped_split(GROUPS, STRATA, 0.0, seed=0, name="test") == (list(range(100)), [])


def test_items_of_a_group_may_lie_far_apart() -> None:
    groups = ["x", "y", "z", "x", "y", "z"]
    kept, off = grouped_split(groups, ["a"] * 6, 0.34, seed=0, name="test")
    assert len(off) == 2 and off[1] - off[0] == 3 and len(kept) == 4
