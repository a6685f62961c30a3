"""The web site of the shop: HTTP on one side, the components' methods on the other."""
