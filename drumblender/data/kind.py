"""What all kinds of data have in common: that a configuration may name them."""


class Data:
    """Data that a model is trained on, without Lightning; every data module of this package is one.

    Examples:
        >>> from drumblender.data import ModalData, ModalDataModule
        >>> issubclass(ModalData, Data), issubclass(ModalDataModule, ModalData)
        (True, True)
    """
