"""One type of column into another, exactly or with an error that says where not."""
