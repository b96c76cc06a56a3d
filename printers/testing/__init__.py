"""For tests and demonstrations: badges of every hard kind, a printer that is not there, and a network that fails.

Nothing here is imported by the library itself.
"""

from .badges import sample_badges, sample_photo, sample_token
from .faults import Fault, FaultProxy
from .virtual import PrintedBadge, VirtualPrinter

__all__ = ["Fault", "FaultProxy", "PrintedBadge", "VirtualPrinter", "sample_badges", "sample_photo", "sample_token"]
