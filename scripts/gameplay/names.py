"""Names of recordings that the scripted player makes, known before it has made them."""


def name_of(number: int) -> str:
    """``vizdoom_0001`` for the first, number 0."""
    return f"vizdoom_{number + 1:04}"


def names_of(count: int) -> list[str]:
    """``vizdoom_0001`` and so on."""
    return [name_of(number) for number in range(count)]
