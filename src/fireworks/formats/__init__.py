"""Where rows come from and go to, one format to a file."""
