"""What every worker process needs: imported once, by the process that all of them are forked from."""

import fireworks.core.model
import fireworks.parallel.worker  # noqa: F401 (imported to be there)
