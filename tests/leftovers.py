"""What tests that cut connections leave to the garbage collector.

A connection that a fault cut, or whose event loop has ended, may be collected only in the midst of
a later test, which knows of no fault: there its warning would be an error.
"""

import gc
import warnings


def collect() -> None:
    """Collect it now, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed", ResourceWarning)
        gc.collect()
