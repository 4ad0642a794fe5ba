"""What happens to rows and batches on their way, one operation to a file."""
