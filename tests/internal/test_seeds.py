import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks._internal.seeds import block_generator, check_seed, seed_sequence, stage_key

names = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["shuffle:0", "shuffle:1", "split:0", "map:0"]
)


def words(sequence):
    return tuple(sequence.generate_state(4, np.uint64).tolist())


class TestCheckSeed:
    @pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1, np.int8(7), np.uint64(2**64 - 1)])
    def test_ints_of_64_bits_are_seeds(self, seed):
        assert check_seed(seed, where="shuffle") == int(seed)
        assert type(check_seed(seed, where="shuffle")) is int

    def test_no_seed_is_an_error_that_says_what_to_pass(self):
        with pytest.raises(
            ValueError,
            match=r"^shuffle: a seed is needed, so that the result can be had again; pass seed=0, say\.$",
        ):
            check_seed(None, where="shuffle")

    @pytest.mark.parametrize(
        "seed", [-1, 2**64, True, False, np.True_, 1.0, np.float64(1), "1", [1], torch.tensor(1), np.int64(-1)]
    )
    def test_anything_else_is_refused_and_shown(self, seed):
        with pytest.raises(ValueError, match=r"^map: seed must be an int from 0 to 2\*\*64 - 1; got .+\.$"):
            check_seed(seed, where="map")


class TestStageKey:
    @settings(deadline=None, max_examples=60)
    @given(names, names)
    def test_two_names_never_share_a_key(self, one, other):
        assert (stage_key(one) == stage_key(other)) == (one == other)

    @settings(deadline=None, max_examples=60)
    @given(names)
    def test_a_name_can_be_read_back_from_its_key(self, name):
        num_bytes, *rest = stage_key(name)
        assert b"".join(word.to_bytes(4, "little") for word in rest)[:num_bytes] == name.encode()
        assert all(0 <= word < 2**32 for word in rest)

    def test_zeros_at_the_end_of_a_name_count(self):
        assert len({stage_key("a" + "\0" * count) for count in range(9)}) == 9

    def test_the_key_of_a_name_is_fixed_for_ever(self):
        assert stage_key("shuffle:0") == (9, *np.frombuffer(b"shuffle:0\0\0\0", "<u4").tolist())
        assert stage_key("") == (0,)


class TestSeedSequence:
    def test_it_is_the_documented_one(self):
        assert words(seed_sequence(5, "map:0", 2, 3)) == words(np.random.SeedSequence([5, *stage_key("map:0"), 2, 3]))

    def test_neighbours_of_every_kind_draw_independently(self):
        cases = list(itertools.product(range(6), ["shuffle:0", "shuffle:1", "split:0", "map:0"], range(6), range(6)))
        first = np.array(
            [seed_sequence(seed, stage, *rest).generate_state(1, np.uint64)[0] for seed, stage, *rest in cases]
        )
        assert len(set(first.tolist())) == len(cases)
        bits = np.unpackbits(first.view(np.uint8)).reshape(len(cases), 64)
        flips = (bits[1:] != bits[:-1]).sum(axis=1)  # 32 ± 4 for independent words
        assert flips.min() > 8
        assert abs(flips.mean() - 32) < 4 * 4 / len(flips) ** 0.5

    @settings(deadline=None, max_examples=60)
    @given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
    def test_two_seeds_never_share_a_state(self, one, other):
        assert (words(seed_sequence(one, "map:0", 0)) == words(seed_sequence(other, "map:0", 0))) == (one == other)


class TestBlockGenerator:
    @staticmethod
    def draw(*key):
        return torch.rand(4, generator=block_generator(*key)).tolist()

    def test_the_same_block_draws_the_same_numbers(self):
        assert self.draw(1, "map:0", 2, 3) == self.draw(1, "map:0", 2, 3)

    def test_a_change_of_seed_stage_epoch_or_block_draws_others(self):
        keys = [(1, "map:0", 2, 3), (2, "map:0", 2, 3), (1, "map:1", 2, 3), (1, "map:0", 3, 2), (1, "map:0", 2, 4)]
        assert len({tuple(self.draw(*key)) for key in keys}) == len(keys)

    def test_generators_neither_use_nor_disturb_each_other_or_the_global_one(self):
        torch.manual_seed(0)
        before = torch.get_rng_state()
        one, again = block_generator(1, "map:0", 0, 0), block_generator(1, "map:0", 0, 0)
        torch.rand(5, generator=one)
        torch.manual_seed(99)
        assert torch.rand(4, generator=again).tolist() == self.draw(1, "map:0", 0, 0)
        torch.set_rng_state(before)
        self.draw(1, "map:0", 0, 0)
        assert torch.equal(torch.get_rng_state(), before)

    def test_it_is_a_generator_of_the_cpu(self):
        assert block_generator(0, "map:0", 0, 0).device.type == "cpu"
