import pytest
import torch

from course_lib.seeding import generator


def test_a_seed_repeats_and_none_does_not() -> None:
    def draw(rng: int | None) -> list[float]:
        return torch.rand(4, generator=generator(rng)).tolist()

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
    assert draw(None) != draw(None)


def test_a_generator_is_handed_on_and_the_global_state_untouched() -> None:
    before = torch.random.get_rng_state()
    own = torch.Generator()
    assert generator(own) is own
    generator(3)
    assert bool((torch.random.get_rng_state() == before).all())


@pytest.mark.parametrize("wrong", ["0", 1.5, True])
def test_wrong_types(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"must be an int, a torch\.Generator or None"):
        generator(wrong)  # type: ignore[arg-type]


def test_negative_seed_and_wrong_device() -> None:
    with pytest.raises(ValueError, match="rng is -1, but a seed must be at least 0"):
        generator(-1)
    with pytest.raises(ValueError, match="rng is a generator on cpu, but the data are on meta: pass a seed"):
        generator(torch.Generator(), "meta")
