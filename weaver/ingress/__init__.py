"""The reverse proxy of a listener: joins clients, versions and replicas."""
