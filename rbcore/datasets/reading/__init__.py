"""Reading files that others made: archives, tables, images, array batches."""
