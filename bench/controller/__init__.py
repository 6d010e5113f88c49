"""The measures of the controller: each part has a file, `__main__` runs them."""
