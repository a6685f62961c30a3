"""The runtime inside an application process: hosts components, serves their listeners."""
