"""HTTP/1.1 as the ingress speaks it: heads and bodies as bytes. Pure."""
