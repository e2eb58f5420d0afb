"""Stratified splits: the same fraction of every stratum."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import torch

from rnnexp.process.determinism import generator


def stratified_split(
    strata: Sequence[Hashable], fraction: float, seed: int, name: str
) -> tuple[list[int], list[int]]:
    """Indices of the items that stay, and of the items that are split off, both ascending.

    Of the n items of a stratum, round(fraction * n) are split off at random, but never all.
    seed, name: decide the draw.
    """
    members = defaultdict(list)
    for number, stratum in enumerate(strata):
        members[stratum].append(number)
    off: set[int] = set()
    for stratum, numbers in members.items():
        draw = generator(seed, name, str(stratum))
        order = torch.randperm(len(numbers), generator=draw).tolist()
        count = min(round(fraction * len(numbers)), len(numbers) - 1)
        off |= {numbers[place] for place in order[:count]}
    everything = range(len(strata))
    return [n for n in everything if n not in off], sorted(off)


def grouped_split(
    groups: Sequence[Hashable], strata: Sequence[Hashable], fraction: float, seed: int, name: str
) -> tuple[list[int], list[int]]:
    """As `stratified_split`, but splits whole groups; `fraction` is the share of the groups.

    The stratum of a group is the most frequent stratum of its items; the first one in a tie.
    """
    members = defaultdict[Hashable, list[int]](list)
    for number, group in enumerate(groups):
        members[group].append(number)
    of_group = [
        Counter(strata[number] for number in numbers).most_common(1)[0][0]
        for numbers in members.values()
    ]
    _, chosen = stratified_split(of_group, fraction, seed, name)
    together = list(members.values())
    off = {number for group in chosen for number in together[group]}
    return [n for n in range(len(groups)) if n not in off], sorted(off)
