"""A message as a DataFrame: what it borrows from pandas, and what comes back."""
