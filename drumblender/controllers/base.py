"""What every controller shares."""


def module_key(control: str) -> str:
    """A control's name as torch accepts it for a part of a module: ``osc1.freq`` becomes ``osc1/freq``."""
    return control.replace(".", "/")
