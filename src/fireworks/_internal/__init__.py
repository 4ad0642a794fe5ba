"""What every part of the library may use and no user should: seeds, checks, optional dependencies, the running trial."""
