import torch

from kochi.training.seeds import derive, seed_generators


def test_seeds_differ_with_each_part_and_its_place() -> None:
    seeds = {
        derive(seed, step, rank) for seed in range(9) for step in range(9) for rank in range(9)
    }
    assert len(seeds) == 9**3
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_near_seeds_give_unlike_bits() -> None:
    changed = [bin(derive(5, step) ^ derive(5, step + 1)).count("1") for step in range(50)]
    assert 25 < sum(changed) / len(changed) < 38  # about half of 63


def test_seeding_brings_the_same_numbers_back() -> None:
    device = torch.device("cpu")
    seed_generators(derive(1, 2), device)
    first = torch.rand(7)
    seed_generators(derive(1, 3), device)
    assert not torch.equal(first, torch.rand(7))
    seed_generators(derive(1, 2), device)
    assert torch.equal(first, torch.rand(7))
