"""What OmegaConf says in several lines, in one."""


def first_line(error: object) -> str:
    """The first line of a message of OmegaConf's, with the key that it concerns."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    keys = [line.removeprefix("full_key:").strip() for line in lines if "full_key:" in line]
    said = lines[0] if lines else type(error).__name__
    return f"{keys[0]}: {said}" if keys and keys[0] and keys[0] not in said else said
