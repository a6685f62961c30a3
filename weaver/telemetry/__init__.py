"""What replicas measure, added up and written down in the forms others read. Pure."""
