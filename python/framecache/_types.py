"""What annotations need at run time, without `typing`: it takes as long to import as all
that a Cache needs. Type checkers take ``TYPE_CHECKING`` for true wherever it comes from.
"""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import final as final
else:

    def final(cls):
        """As `typing.final`: for those who ask at run time."""
        cls.__final__ = True
        return cls
