"""Names of the scripted player's recordings, known before these are made."""


def names_of(count: int) -> list[str]:
    """``vizdoom_0001`` and so on."""
    return [f"vizdoom_{number:04}" for number in range(1, count + 1)]
