"""What we use of other packages that they do not promise to keep. Each failure names what relies on
it; that of Hydra's engine is in tests/launching/test_engine.py."""

import io
import pickle
from typing import Any

import hydra
import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnexp.config.compose import initialised
from rnnexp.config.explain import CHOSEN_TWICE, NOT_CHOSEN, UNKNOWN_KEY, WRONG_VALUE
from rnnexp.config.instantiate import INNER_KEY
from rnnexp.config.messages import first_line


def said_by_hydra(*overrides: str) -> str:
    with initialised(None), pytest.raises(Exception) as caught:  # noqa: PT011
        hydra.compose("train", list(overrides))
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "pattern", "found"),
    [
        ("trainer.max_epoch=3", UNKNOWN_KEY, "trainer.max_epoch"),
        ("~callbacks.progres_bar", UNKNOWN_KEY, "callbacks.progres_bar"),
        ("+optimizer=sgd", CHOSEN_TWICE, "optimizer"),
        ("task=???", NOT_CHOSEN, "task"),
        ("seed=abc", WRONG_VALUE, "seed=abc"),
    ],
)
def test_hydra_words_a_mistake_as_we_read_it(override: str, pattern: Any, found: str) -> None:
    said = said_by_hydra(override)
    match = pattern.match(said)
    assert match and match[1] == found, (
        f"rnnexp.config.explain knows this mistake by {pattern.pattern!r}, and this version of "
        f"Hydra says {said!r}: change the pattern"
    )


def test_omegaconf_names_the_key_in_a_line_of_its_own() -> None:
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.to_container(OmegaConf.create({"a": {"b": MISSING}}), throw_on_missing=True)
    assert "a.b" in first_line(caught.value), (
        "rnnexp.config.messages.first_line reads the key from the line `full_key:` of a message of "
        f"OmegaConf's, and this version says {str(caught.value)!r}"
    )


def test_hydra_names_the_inner_key_that_could_not_be_built() -> None:
    tree = {"_target_": "builtins.dict", "inner": {"_target_": "builtins.int", "x": "no number"}}
    with pytest.raises(InstantiationException) as caught:
        hydra.utils.instantiate(tree)
    match = INNER_KEY.search(str(caught.value))
    assert match and match[1] == "inner", (
        "rnnexp.config.instantiate reads the inner key from a message of Hydra's, and this version "
        f"says {str(caught.value)!r}"
    )


def test_the_unpickler_in_python_has_a_table_of_opcodes() -> None:
    unpickler = getattr(pickle, "_Unpickler", None)
    assert unpickler is not None and callable(unpickler.dispatch[pickle.REDUCE[0]]), (
        "rnnexp.data.vectors.gensim replaces what single opcodes do in pickle._Unpickler.dispatch, "
        "and this version of Python has no such table"
    )
    assert unpickler(io.BytesIO(pickle.dumps([1, "a"]))).load() == [1, "a"]


def test_a_tensor_counts_its_changes() -> None:
    tensor = torch.zeros(2)
    before = tensor._version
    tensor.add_(1)
    assert tensor._version > before, (
        "rnnexp.optim.rows notices by Tensor._version that a table was changed from outside"
    )


def test_rows_of_a_sparse_tensor_can_be_had_uncoalesced() -> None:
    rows, values = torch.tensor([[2, 0]]), torch.ones(2, 3)
    sparse = torch.sparse_coo_tensor(rows, values, (4, 3))
    message = "rnnexp.optim.gradients reads rows by Tensor._indices() and Tensor._values()"
    assert not sparse.is_coalesced() and torch.equal(sparse._indices(), rows), message
    assert sparse._values().data_ptr() == sparse.detach()._values().data_ptr(), message


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_a_step_of_torchs_optimisers_collects_parameters_by_init_group(
    kind: type[torch.optim.Optimizer],
) -> None:
    seen = []

    class Watched(kind):  # type: ignore[misc,valid-type]
        def _init_group(self, group: dict[str, Any], *lists: Any) -> Any:
            seen.append(group)
            return super()._init_group(group, *lists)

    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    optimizer = Watched([weight], lr=0.1)
    optimizer.step()
    assert seen == optimizer.param_groups and not torch.equal(weight.data, torch.ones(2)), (
        "rnnexp.optim.rows leaves tables out of torch's step by overriding Optimizer._init_group, "
        f"and {kind.__name__} of this version of torch does not call it so"
    )
