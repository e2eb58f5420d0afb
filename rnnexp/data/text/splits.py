"""Splits of labelled documents, stratified: every stratum gives the same share."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import torch

from rnnexp.process.determinism import generator


def stratified_split(
    strata: Sequence[Hashable], fraction: float, seed: int, name: str
) -> tuple[list[int], list[int]]:
    """Numbers of the items that stay, and of those that are split off, both in their old order.

    Of n items of a stratum round(fraction * n) are split off, chosen by the seed; at least one
    stays.
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
    """As `stratified_split`, but items of one group stay together: the share is one of groups.

    The stratum of a group is the most frequent one of its items, of equals the one that comes
    first.
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
