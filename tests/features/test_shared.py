import gc
import weakref

import pytest
import torch

from drumblender.features.shared import heard_once


@pytest.fixture
def count():
    calls = []

    def total(*tensors, power=1):
        calls.append(power)
        return sum(tensor.sum() ** power for tensor in tensors)

    total.calls = calls
    return total


def test_one_answer_serves_the_same_unchanged_tensors(count):
    a, b = torch.ones(3), torch.ones(2)
    assert heard_once(count, a, b) is heard_once(count, a, b) and heard_once(count, a, b) == 5
    assert heard_once(count, a, b, power=2) == 13 and count.calls == [1, 2]


@pytest.mark.parametrize("change", range(2))
def test_a_change_of_any_tensor_is_heard(count, change):
    tensors = torch.ones(3), torch.ones(2)
    before = heard_once(count, *tensors)
    tensors[change].mul_(10)
    assert heard_once(count, *tensors) == 5 + 9 * len(tensors[change]) != before


def test_equal_tensors_are_not_the_same(count):
    a = torch.ones(3)
    for _ in range(5):  # each may lie where the one before lay
        heard_once(count, a, torch.ones(2))
    assert len(count.calls) == 5


def test_nothing_outlives_the_recording(count):
    recording = torch.ones(3)
    answer = weakref.ref(heard_once(count, recording))
    assert answer() is not None
    del recording
    gc.collect()
    assert answer() is None


def test_what_has_a_gradient_or_counts_no_changes_is_computed(count):
    learned = torch.ones(3, requires_grad=True)
    heard_once(count, learned), heard_once(count, learned).backward()
    with torch.inference_mode():
        blind = torch.ones(3)
        heard_once(count, blind), heard_once(count, blind)
    torch.func.vmap(lambda row: heard_once(count, row))(torch.ones(2, 3))
    assert len(count.calls) == 5 and (learned.grad == 1).all()
