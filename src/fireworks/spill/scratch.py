"""Stand-in until PILES writes it."""
import tempfile, shutil, weakref
from pathlib import Path
class Scratch:
    def __init__(self, user):
        self.user=user
        self.path = Path(tempfile.mkdtemp(prefix="fireworks-"))
        self._f = weakref.finalize(self, shutil.rmtree, self.path, True)
    def require_space(self, num_bytes): pass
    def close(self): self._f()
